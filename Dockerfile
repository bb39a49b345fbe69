FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /zegorelay ./cmd/zegorelay

FROM scratch
LABEL org.opencontainers.image.title="zegorelay" \
      org.opencontainers.image.description="RTMP ingest sidecar for ZEGO" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /zegorelay /zegorelay
USER 65532:65532
EXPOSE 1935
HEALTHCHECK --interval=10s --timeout=5s CMD ["/zegorelay", "healthcheck"]
ENTRYPOINT ["/zegorelay"]
