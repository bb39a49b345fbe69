package main

import (
	"bufio"
	"context"
	order "encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/rs/zerolog"
)

// bus is a D-Bus at whose other end systemd has one job for everybody; "": none.
type bus struct {
	job  string
	deaf bool // it takes connections and says nothing
}

// listen returns the address of the bus.
func (b bus) listen(t *testing.T) string {
	t.Helper()
	address := filepath.Join(t.TempDir(), "bus")
	ln, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); b.serve(conn) }()
		}
	}()
	return "unix:path=" + address
}

func (b bus) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch line = strings.TrimSpace(strings.TrimPrefix(line, "\x00")); {
		case b.deaf:
		case line == "AUTH EXTERNAL":
			fmt.Fprint(conn, "DATA\r\n") // who it is, the kernel knows
		case strings.HasPrefix(line, "DATA"):
			fmt.Fprint(conn, "OK 00112233445566778899aabbccddeeff\r\n")
		case line == "BEGIN":
			for b.reply(conn, in) == nil {
			}
			return
		default:
			fmt.Fprint(conn, "REJECTED EXTERNAL\r\n")
		}
	}
}

// reply answers one call.
func (b bus) reply(conn net.Conn, in *bufio.Reader) error {
	call, err := dbus.DecodeMessage(in)
	if err != nil {
		return err
	}
	id, path := uint32(0), dbus.ObjectPath("/")
	if b.job != "" {
		id, path = 17, "/org/freedesktop/systemd1/job/17"
	}
	var body any
	switch said := fmt.Sprint(call.Headers[dbus.FieldMember].Value(), call.Headers[dbus.FieldPath].Value(), call.Body); said {
	case "Hello/org/freedesktop/DBus[]":
		body = ":1.1"
	case "GetUnitByPID/org/freedesktop/systemd1[0]":
		body = dbus.ObjectPath("/org/freedesktop/systemd1/unit/zegorelay_2eservice")
	case "Get/org/freedesktop/systemd1/unit/zegorelay_2eservice[org.freedesktop.systemd1.Unit Job]":
		body = dbus.MakeVariant(struct {
			ID   uint32
			Path dbus.ObjectPath
		}{id, path})
	case "Get/org/freedesktop/systemd1/job/17[org.freedesktop.systemd1.Job JobType]":
		body = dbus.MakeVariant(b.job)
	default:
		return fmt.Errorf("unknown: %s", said)
	}
	reply := &dbus.Message{
		Type: dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(body)),
		},
		Body: []any{body},
	}
	return reply.EncodeTo(conn, order.LittleEndian)
}

// A stop is not a restart: its descriptors would be thrown away. What can't be known is
// taken for a restart.
func TestAStopLeavesNothingInTheStore(t *testing.T) {
	for what, tc := range map[string]struct {
		bus   *bus
		wants bool
	}{
		"systemctl stop, shutdown": {&bus{job: "stop"}, false},
		"systemctl restart":        {&bus{job: "restart"}, true},
		"systemctl try-restart":    {&bus{job: "try-restart"}, true},
		"systemctl kill":           {&bus{}, true},
		"no D-Bus":                 {nil, true},
		"no answer":                {&bus{deaf: true}, true},
	} {
		t.Run(what, func(t *testing.T) {
			address := "unix:path=" + filepath.Join(t.TempDir(), "none")
			if tc.bus != nil {
				address = tc.bus.listen(t)
			}
			t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
			s := newStore(&serviceManager{keeps: 1}, zerolog.Nop())
			begun := time.Now()
			if got := s.isWanted(t.Context()); got != tc.wants {
				t.Errorf("the store is wanted: %v, want %v", got, tc.wants)
			}
			if took := time.Since(begun); took > 10*jobTimeout {
				t.Errorf("that took %v", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			kind, err := jobType(ctx)
			if tc.bus != nil && !tc.bus.deaf && (err != nil || kind != tc.bus.job) {
				t.Errorf("the job is %q, %v", kind, err)
			}
		})
	}
}
