package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// busTimeout is how long systemd may take to say what comes after this process: media
	// flows meanwhile. storedTimeout is for how many descriptors it has: media waits.
	busTimeout    = 2 * time.Second
	storedTimeout = time.Second

	systemBus = "/run/dbus/system_bus_socket"
	systemd   = "org.freedesktop.systemd1"
)

// unit is the one whose main process we are, as systemd sees it.
//
// go-systemd's own client would do the same, but has no deadline for the connection.
type unit struct {
	bus   *dbus.Conn
	path  dbus.ObjectPath
	close func()
}

// startsAnother reports whether systemd starts another process once this one, which is
// asked to end, has done so with exit code 0.
func startsAnother(ctx context.Context) (bool, error) {
	u, err := ourUnit(ctx)
	if err != nil {
		return false, err
	}
	defer u.close()
	// While a unit is restarted its job says so until the process has ended.
	switch job, err := u.job(ctx); {
	case err != nil:
		return false, err
	case job == "stop":
		return false, nil
	case job == "restart", job == "try-restart":
		return true, nil
	}
	// Somebody else has sent the signal: systemctl kill, a person.
	var policy string
	err = u.property(ctx, u.path, "Service", "Restart", &policy)
	return policy == "always" || policy == "on-success", err
}

// storedDescriptors is how many descriptors systemd has in our unit's store.
func storedDescriptors(ctx context.Context) (int, error) {
	u, err := ourUnit(ctx)
	if err != nil {
		return 0, err
	}
	defer u.close()
	var n uint32
	err = u.property(ctx, u.path, "Service", "NFileDescriptorStore", &n)
	return int(n), err
}

// ourUnit asks the systemd that runs the machine, and then the user's, for our unit.
func ourUnit(ctx context.Context) (*unit, error) {
	var why error
	for _, address := range buses() {
		u, err := findUnit(ctx, address)
		if err == nil {
			return u, nil
		}
		if why == nil {
			why = fmt.Errorf("ask systemd by D-Bus at %s: %w", address, err)
		} else {
			why = fmt.Errorf("%w; at %s: %w", why, address, err)
		}
	}
	return nil, why
}

// buses are where a systemd may be asked.
func buses() (sockets []string) {
	system, user := busSocket("DBUS_SYSTEM_BUS_ADDRESS"), busSocket("DBUS_SESSION_BUS_ADDRESS")
	if system == "" {
		system = systemBus
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); user == "" && dir != "" {
		user = filepath.Join(dir, "bus")
	}
	if user == "" {
		return []string{system}
	}
	return []string{system, user}
}

// busSocket is the unix socket of a variable with addresses of a bus.
func busSocket(variable string) string {
	for address := range strings.SplitSeq(os.Getenv(variable), ";") {
		if path, ok := strings.CutPrefix(address, "unix:path="); ok {
			path, _, _ = strings.Cut(path, ",")
			return path
		}
	}
	return ""
}

// findUnit finds our unit by a bus.
func findUnit(ctx context.Context, address string) (*unit, error) {
	u, err := dialBus(ctx, address)
	if err != nil {
		return nil, err
	}
	// 0 is the caller, whatever number it has where systemd is.
	err = u.bus.Object(systemd, "/org/freedesktop/systemd1").
		CallWithContext(ctx, systemd+".Manager.GetUnitByPID", 0, uint32(0)).Store(&u.path)
	var pid uint32
	if err == nil {
		err = u.property(ctx, u.path, "Service", "MainPID", &pid)
	}
	// For the machine's systemd all that a user's has started is one unit.
	if err == nil && int(pid) != os.Getpid() {
		err = fmt.Errorf("the main process of %s is another one (%d)", filepath.Base(string(u.path)), pid)
	}
	if err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

func dialBus(ctx context.Context, address string) (*unit, error) {
	socket, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	// The connection has the socket closed when ctx ends, which also ends a handshake.
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	bus, err := dbus.NewConn(socket, dbus.WithContext(ctx))
	if err == nil {
		err = bus.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	}
	if err == nil {
		err = bus.Hello()
	}
	if err != nil {
		stop()
		_ = socket.Close()
		return nil, err
	}
	return &unit{bus: bus, close: func() { stop(); _ = bus.Close() }}, nil
}

// job is what systemd is about to do with the unit: start, restart, stop …; empty: nothing.
func (u *unit) job(ctx context.Context) (kind string, err error) {
	var job struct {
		ID   uint32
		Path dbus.ObjectPath
	}
	if err := u.property(ctx, u.path, "Unit", "Job", &job); err != nil || job.ID == 0 {
		return "", err
	}
	err = u.property(ctx, job.Path, "Job", "JobType", &kind)
	return kind, err
}

// property reads a property of one of systemd's objects.
func (u *unit) property(ctx context.Context, path dbus.ObjectPath, of, name string, value any) error {
	var v dbus.Variant
	get := u.bus.Object(systemd, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, systemd+"."+of, name)
	if err := get.Store(&v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return v.Store(value)
}
