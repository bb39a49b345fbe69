# The Go of go.mod's toolchain line. It builds on the builder's own kind of machine,
# whatever the image is for.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git: the version comes from there.
COPY . .
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH scripts/build /zegorelay

FROM scratch
ARG VERSION=devel
ARG REVISION=
LABEL org.opencontainers.image.title="zegorelay" \
      org.opencontainers.image.description="RTMP relay sidecar for ZEGO" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /zegorelay /zegorelay
USER 65532:65532
# 8935 answers on the container's loopback only, unless ZEGORELAY_HTTP_LISTEN and a
# token say otherwise.
EXPOSE 1935 8935
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/zegorelay", "healthcheck"]
ENTRYPOINT ["/zegorelay"]
