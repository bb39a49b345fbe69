package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// writePair writes a new self-signed certificate for name, and its key.
func writePair(t *testing.T, certFile, keyFile, name string, at time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), at)
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), at)
}

func write(t *testing.T, file string, content []byte, at time.Time) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	then := time.Now().Add(-time.Hour)
	writePair(t, certFile, keyFile, "first", then)
	var log bytes.Buffer
	c, err := newCertificate(certFile, keyFile, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() string {
		t.Helper()
		c.checked = time.Time{} // as if a second had passed
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.Subject.CommonName
	}
	if got := inUse(); got != "first" {
		t.Errorf("got %s", got)
	}
	write(t, certFile, []byte("rubbish"), then.Add(time.Minute))
	if got := inUse(); got != "first" || !bytes.Contains(log.Bytes(), []byte("the old one stayed")) {
		t.Errorf("after rubbish was written: got %s\n%s", got, log.String())
	}
	writePair(t, certFile, keyFile, "second", then.Add(2*time.Minute))
	if got := inUse(); got != "second" {
		t.Errorf("after a renewal: got %s", got)
	}
	if _, err := newCertificate(certFile, filepath.Join(dir, "none"), zerolog.Nop()); err == nil {
		t.Error("a certificate without a key was taken")
	}
}
