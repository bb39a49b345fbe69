package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// jobTimeout is how long systemd may take to say why the process is to end.
	jobTimeout = 200 * time.Millisecond

	systemBus = "/run/dbus/system_bus_socket"
	systemd   = "org.freedesktop.systemd1"
)

// jobType asks systemd what its job for our unit is: start, restart, stop …; empty: it
// has none. While a unit is restarted its job says so until the process has ended.
//
// go-systemd's own client would do the same, but has no deadline for the connection.
func jobType(ctx context.Context) (string, error) {
	kind, err := askJobType(ctx)
	if err != nil {
		return "", fmt.Errorf("ask systemd by D-Bus: %w", err)
	}
	return kind, nil
}

func askJobType(ctx context.Context) (kind string, err error) {
	address := systemBus
	if path, ok := strings.CutPrefix(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), "unix:path="); ok {
		address = path
	}
	socket, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return "", err
	}
	// The connection has the socket closed when ctx ends, which also ends a handshake.
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	bus, err := dbus.NewConn(socket, dbus.WithContext(ctx))
	if err != nil {
		return "", err
	}
	defer bus.Close()
	if err := bus.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		return "", err
	}
	if err := bus.Hello(); err != nil {
		return "", err
	}
	manager := bus.Object(systemd, "/org/freedesktop/systemd1")
	var unit dbus.ObjectPath
	// 0 is the caller, whatever number it has where systemd is.
	if err := manager.CallWithContext(ctx, systemd+".Manager.GetUnitByPID", 0, uint32(0)).Store(&unit); err != nil {
		return "", err
	}
	var job struct {
		ID   uint32
		Path dbus.ObjectPath
	}
	if err := property(ctx, bus, unit, systemd+".Unit", "Job", &job); err != nil || job.ID == 0 {
		return "", err
	}
	err = property(ctx, bus, job.Path, systemd+".Job", "JobType", &kind)
	return kind, err
}

// property reads a property of one of systemd's objects.
func property(ctx context.Context, bus *dbus.Conn, path dbus.ObjectPath, of, name string, value any) error {
	var v dbus.Variant
	get := bus.Object(systemd, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, of, name)
	if err := get.Store(&v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return v.Store(value)
}
