package relay_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// What real encoders really sent goes through the relay with every payload
// unchanged: H.264, HEVC, AV1, AAC, Opus, several tracks.
func TestCapturesPassUnchanged(t *testing.T) {
	files, err := filepath.Glob("rtmp/testdata/*.bin")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, setup{})
			audit := r.audit("cam1")
			capture := rtmp.NewReader(bytes.NewReader(b), rtmp.Limits{})
			if _, err := io.CopyN(io.Discard, capture, 1+2*1536); err != nil {
				t.Fatal(err)
			}
			n := 0
			for {
				m, err := capture.ReadMessage()
				if errors.Is(err, rtmp.ErrPeerClosed) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if m.IsMedia() {
					audit.Sent(m)
					n++
				}
			}
			c := r.raw().say(b)
			_ = c.nc.CloseWrite()
			r.waitFor("the end of the stream", func() bool {
				s := r.sim.Sessions()
				return len(r.srv.Streams()) == 0 && len(s) == 1 && !s[0].Ended.IsZero()
			})
			if n < 240 {
				t.Errorf("only %d messages in the capture", n)
			}
			r.checkAll()
		})
	}
}

// authority makes certificates for tests.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	_, a.cert, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	})
	return a
}

func (a *authority) sign(template *x509.Certificate) ([]byte, *x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, cert, key
}

// forHost is a server's certificate for localhost or another name.
func (a *authority) forHost(name string, notAfter time.Time) tls.Certificate {
	a.t.Helper()
	der, _, key := a.sign(&x509.Certificate{DNSNames: []string{name}, NotAfter: notAfter})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// tlsProxy takes TLS in front of a plain address. The stand-in's nodes speak
// plain RTMP, so this makes an rtmps node of one.
func tlsProxy(t *testing.T, cert tls.Certificate, to string) (port string) {
	t.Helper()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{cert}})
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.(*net.TCPConn).CloseWrite() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

func TestRTMPSToTheNode(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	for what, tc := range map[string]struct {
		cert tls.Certificate
		says string // why it fails; empty: it works
	}{
		"a good certificate":   {ca.forHost("localhost", later), ""},
		"for another host":     {ca.forHost("elsewhere.example", later), "certificate is valid for elsewhere.example, not localhost"},
		"expired":              {ca.forHost("localhost", time.Now().Add(-time.Hour)), "certificate has expired"},
		"of an unknown issuer": {other.forHost("localhost", later), "certificate signed by unknown authority"},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, setup{tune: func(o *relay.Options) { o.Nodes.TLS = &tls.Config{RootCAs: ca.roots()} }})
			node := r.sim.Nodes()[0]
			port := tlsProxy(t, tc.cert, node.Addr())
			if tc.says == "" {
				// The stand-in must have named the node behind the proxy once.
				first := r.publish()
				first.frames(60)
				first.goodbye()
			}
			r.sim.SetAPIFault(zegosim.AnswerData{Data: []string{"rtmps://localhost:" + port + "/1234567890/cam1"}})
			e := r.publish()
			if tc.says != "" {
				e.frames(1)
				r.waitLog("node not reached", tc.says)
				return
			}
			e.frames(200)
			e.goodbye()
			if report := e.audit.Report(); report.Arrived != 2*60+2*200 || len(report.Violations) > 0 {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestRTMPSFromTheEncoder(t *testing.T) {
	ca := newAuthority(t)
	r := newRig(t, setup{})
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.listen(tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{ca.forHost("localhost", time.Now().Add(time.Hour))}}))
	target := rtmp.Target{
		Secure: true, Host: "localhost", Addr: plain.Addr().String(),
		TCURL: "rtmps://localhost/live", App: "live", Name: "cam1",
	}
	if _, err := (rtmp.Dialer{}).Publish(t.Context(), target); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("an encoder that doesn't know the issuer sees %v", err)
	}
	up, err := rtmp.Dialer{TLS: &tls.Config{RootCAs: ca.roots()}}.Publish(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(200)
	e.goodbye()
	r.checkAll()
}
