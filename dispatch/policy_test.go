package dispatch

import (
	"net"
	"strings"
	"testing"
)

func TestNodePolicy(t *testing.T) {
	for _, addr := range []string{
		"127.0.0.1:1935", "127.9.9.9:1", "10.0.0.1:1", "172.16.0.1:1", "192.168.1.1:1", "169.254.169.254:80", "0.0.0.0:1",
		"0.1.2.3:1", "100.64.0.1:1", "192.0.2.1:1", "198.18.0.1:1", "224.0.0.1:1", "240.0.0.1:1", "255.255.255.255:1",
		"[::1]:1", "[::]:1", "[fe80::1%eth0]:1", "[fc00::1]:1", "[ff02::1]:1", "[::ffff:127.0.0.1]:1", "[::ffff:10.0.0.1]:1",
		"[64:ff9b::7f00:1]:1", "[2002:7f00:1::]:1", "[2001:db8::1]:1", "not an address",
	} {
		if err := (NodePolicy{}).Control("tcp", addr, nil); err == nil {
			t.Errorf("%s may be dialled", addr)
		}
	}
	for _, addr := range []string{"81.69.49.115:1935", "8.8.8.8:443", "[2a00:1450::1]:1935"} {
		if err := (NodePolicy{}).Control("tcp", addr, nil); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// The policy sees the address that a name resolves to.
func TestNodePolicyAtTheDialer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	d := net.Dialer{Control: NodePolicy{}.Control}
	_, err = d.Dial("tcp", net.JoinHostPort("localhost", port))
	if err == nil || !strings.Contains(err.Error(), "ZEGORELAY_NODE_ALLOW") {
		t.Errorf("got %v", err)
	}
}
