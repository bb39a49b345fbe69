package rtmp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/yutopp/go-rtmp/message"
)

// DialFunc opens the TCP connection to a node.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Dialer says how nodes are dialled. The zero Dialer is ready.
type Dialer struct {
	Dial   DialFunc    // opens TCP connections [net.Dialer]
	TLS    *tls.Config // for rtmps; the name to verify is the target's [the system's roots]
	Limits Limits
}

// Publish is Connect and the Upstream's Publish in one.
func (d Dialer) Publish(ctx context.Context, t Target) (*Upstream, error) {
	u, err := d.Connect(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := u.Publish(ctx); err != nil {
		return nil, err
	}
	return u, nil
}

// Connect opens a session with t up to the answer to connect: nothing is
// published yet, and the node's stream is untouched. It blocks until then or
// until ctx ends. A refusal matches *StatusError. The certificate of an rtmps
// target is verified in any case.
func (d Dialer) Connect(ctx context.Context, t Target) (*Upstream, error) {
	dial := d.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDial, err)
	}
	boundUnsent(nc)
	if t.Secure {
		nc = tls.Client(nc, d.tlsConfig(t.Host))
	}
	u := &Upstream{c: newConn(nc, d.Limits), begun: time.Now(), name: t.Name}
	u.window.Store(windowForNodes)
	defer u.c.closeWith(ctx)()

	err = dialHandshake(u.c.in, nc)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrHandshake, err)
	} else {
		err = u.connect(t)
	}
	if err != nil {
		_ = nc.Close()
		return nil, causeOf(ctx, err)
	}
	return u, nil
}

func (d Dialer) tlsConfig(host string) *tls.Config {
	config := &tls.Config{}
	if d.TLS != nil {
		config = d.TLS.Clone()
	}
	config.ServerName = host
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}

// connectCommand is the command object of connect (§7.2.1.1).
type connectCommand struct {
	App      string `amf0:"app"`
	Type     string `amf0:"type"`
	FlashVer string `amf0:"flashVer"`
	TCURL    string `amf0:"tcUrl"`
}

func (u *Upstream) connect(t Target) error {
	u.c.mu.Lock()
	out := u.c.out
	out.SetChunkSize(outChunkSize)
	out.Queue(controlMessage(&message.WinAckSize{Size: windowForNodes}))
	out.Queue(commandMessage(0, "connect", transactionConnect, connectCommand{
		App:      t.App,
		Type:     "nonprivate",
		FlashVer: "FMLE/3.0 (compatible; zegorelay)",
		TCURL:    t.TCURL,
	}))
	err := u.c.flush()
	u.c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	// nginx-rtmp and others answer with transaction 0: only a connect can have
	// been answered here.
	_, err = u.await("connect", func(c command) bool { return c.name == "_result" })
	return err
}
