package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// checkEvery is how often the files of a certificate are looked at, at most.
const checkEvery = time.Second

// certificate is a TLS certificate that is read again when its files change, as
// they do when it is renewed. New files that don't fit keep the old ones in use.
type certificate struct {
	certFile, keyFile string
	log               zerolog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	version [2]time.Time // when the files that current is from were written
	checked time.Time
}

// newCertificate reads the files for the first time.
func newCertificate(certFile, keyFile string, log zerolog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(c.written()); err != nil {
		return nil, err
	}
	return c, nil
}

// get is for tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= checkEvery {
		c.checked = now
		if written := c.written(); written != c.version {
			if err := c.read(written); err != nil {
				c.log.Error().Err(err).Msg("new TLS certificate not used: the old one stayed")
			} else {
				c.log.Info().Msg("TLS certificate read again")
			}
		}
	}
	return c.current, nil
}

// read replaces the certificate. The caller holds the lock.
func (c *certificate) read(written [2]time.Time) error {
	c.version = written // also of files that don't fit: said once is enough
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("ZEGORELAY_TLS_CERT: %w", err)
	}
	c.current = &pair
	return nil
}

// written is when both files were last written.
func (c *certificate) written() (at [2]time.Time) {
	for i, file := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(file); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}
