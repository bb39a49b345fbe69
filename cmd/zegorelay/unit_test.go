package main

import (
	"bufio"
	"bytes"
	order "encoding/binary"
	"fmt"
	"math"
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
	job    string
	policy string        // Restart= of everybody's unit
	others bool          // everybody's main process is another one
	deaf   bool          // it takes connections and says nothing
	late   time.Duration // it answers so late
	stored func() uint32 // how many descriptors the store has; nil: as many as one likes
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
			pid := 1 // everybody is the main process of a unit
			if !b.others {
				pid, _ = peer(conn.(*net.UnixConn))
			}
			for b.reply(conn, in, uint32(pid)) == nil {
			}
			return
		default:
			fmt.Fprint(conn, "REJECTED EXTERNAL\r\n")
		}
	}
}

// reply answers one call.
func (b bus) reply(conn net.Conn, in *bufio.Reader, pid uint32) error {
	call, err := dbus.DecodeMessage(in)
	if err != nil {
		return err
	}
	<-time.After(b.late)
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
	case "Get/org/freedesktop/systemd1/unit/zegorelay_2eservice[org.freedesktop.systemd1.Service MainPID]":
		body = dbus.MakeVariant(pid)
	case "Get/org/freedesktop/systemd1/unit/zegorelay_2eservice[org.freedesktop.systemd1.Service Restart]":
		body = dbus.MakeVariant(b.policy)
	case "Get/org/freedesktop/systemd1/unit/zegorelay_2eservice[org.freedesktop.systemd1.Service NFileDescriptorStore]":
		n := uint32(math.MaxUint32)
		if b.stored != nil {
			n = b.stored()
		}
		body = dbus.MakeVariant(n)
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

// A stop is not a restart: its descriptors would be thrown away; nor is a signal where
// systemd starts nothing after it. What can't be known is taken for a restart.
func TestAStopLeavesNothingInTheStore(t *testing.T) {
	restart, stop := &bus{job: "restart"}, &bus{job: "stop"}
	for what, tc := range map[string]struct {
		system, user *bus
		wants        bool
		doubts       bool // it had to guess
	}{
		"stop: shutdown":            {system: stop},
		"stop: systemd is slow":     {system: &bus{job: "stop", late: 200 * time.Millisecond}},
		"systemctl restart":         {system: restart, wants: true},
		"systemctl try-restart":     {system: &bus{job: "try-restart"}, wants: true},
		"systemctl kill":            {system: &bus{policy: "always"}, wants: true},
		"kill: on-success":          {system: &bus{policy: "on-success"}, wants: true},
		"kill: on-failure":          {system: &bus{policy: "on-failure"}},
		"kill: no":                  {system: &bus{policy: "no"}},
		"kill while it is reloaded": {system: &bus{job: "reload", policy: "no"}},
		"systemctl --user restart":  {system: &bus{job: "stop", others: true}, user: restart, wants: true},
		"systemctl --user stop":     {system: &bus{job: "restart", others: true}, user: stop},
		"user stop: one bus":        {user: stop},
		"the unit of somebody else": {system: &bus{job: "stop", others: true}, wants: true, doubts: true},
		"no D-Bus":                  {wants: true, doubts: true},
		"no answer":                 {system: &bus{deaf: true}, user: stop, wants: true, doubts: true},
	} {
		t.Run(what, func(t *testing.T) {
			address := func(b *bus) string {
				if b == nil {
					return "unix:path=" + filepath.Join(t.TempDir(), "none")
				}
				return b.listen(t)
			}
			t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address(tc.system))
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=none;"+address(tc.user)+",guid=1")
			var log bytes.Buffer
			s := newStore(&serviceManager{keeps: 1}, zerolog.New(&log))
			begun := time.Now()
			if got := s.isWanted(t.Context()); got != tc.wants || log.Len() > 0 != tc.doubts {
				t.Errorf("the store is wanted: %v, want %v; the log says %s", got, tc.wants, &log)
			}
			if took := time.Since(begun); took > 2*busTimeout {
				t.Errorf("that took %v", took)
			}
		})
	}
}

// Where the buses are: the first unix socket of a variable, else where they always are.
func TestBuses(t *testing.T) {
	for _, tc := range []struct{ system, session, runtime, want string }{
		{"", "", "", "[/run/dbus/system_bus_socket]"},
		{"unix:path=/s", "unix:path=/u,guid=0", "/run/user/1", "[/s /u]"},
		{"tcp:host=h;unix:path=/s", "unix:abstract=/tmp/x", "/run/user/1", "[/s /run/user/1/bus]"},
	} {
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", tc.system)
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", tc.session)
		t.Setenv("XDG_RUNTIME_DIR", tc.runtime)
		if got := fmt.Sprint(buses()); got != tc.want {
			t.Errorf("the buses are at %s, want %s", got, tc.want)
		}
	}
}
