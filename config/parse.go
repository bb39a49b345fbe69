package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// parser turns text into values. What is wrong it notes and goes on; the value
// is then of no use, and a number or a duration is 0.
type parser struct {
	credentials string // systemd's directory of them; empty: none
	problems    Problems
}

func (p *parser) problem(name, what, do string) { p.problems.add(prefix+name, what, do) }

func (p *parser) appID(name, text string) uint32 {
	if text == "" {
		p.problem(name, "is not set", "copy the AppID of your project from ZEGO's console")
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n > 0 {
		return uint32(n)
	}
	what := fmt.Sprintf("is %q, not an AppID", text)
	if len(text) >= maskable { // the two are easily swapped: don't quote a ServerSecret
		what = fmt.Sprintf("is %d characters, not an AppID", len(text))
	}
	p.problem(name, what, "copy the number from ZEGO's console")
	return 0
}

func (p *parser) duration(name, text string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		p.problem(name, fmt.Sprintf("is %q, not a duration", text), "write it like 500ms, 10s or 2m")
	case d < least || d > most:
		p.problem(name, fmt.Sprintf("is %v", d), fmt.Sprintf("use %v to %v", least, most))
	default:
		return d
	}
	return 0
}

func (p *parser) integer(name, text string, least, most int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		p.problem(name, fmt.Sprintf("is %q", text), fmt.Sprintf("use a whole number from %d to %d", least, most))
		return 0
	}
	return n
}

// rate reads a number a second; NaN is not above 0 either.
func (p *parser) rate(name, text string, most float64) float64 {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && f > 0 && f <= most {
		return f
	}
	p.problem(name, fmt.Sprintf("is %q", text), fmt.Sprintf("use a number above 0, up to %v", most))
	return 0
}

// size reads 64MiB, 512KiB, 1GiB, their decimal kin MB, KB, GB, and plain bytes.
func (p *parser) size(name, text string, least, most int64) int64 {
	units := []struct {
		suffix string
		bytes  int64
	}{
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1},
	}
	number, unit := text, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		p.problem(name, fmt.Sprintf("is %q, not a size", text), "write it like 64MiB")
		return 0
	case n < 0 || n > most/unit || n*unit < least:
		p.problem(name, fmt.Sprintf("is %q", text), fmt.Sprintf("use %dMiB to %dMiB", least>>20, most>>20))
		return 0
	}
	return n * unit
}

// The bounds of what may be different for one stream.

func (p *parser) grace(name, text string) time.Duration { return p.duration(name, text, 0, time.Hour) }

func (p *parser) backlog(name, text string) time.Duration {
	return p.duration(name, text, time.Second, 10*time.Minute)
}

func (p *parser) backlogBytes(name, text string) int64 { return p.size(name, text, 1<<20, 16<<30) }

func (p *parser) oneOf(name, text string, words ...string) string {
	if !slices.Contains(words, text) {
		words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
		p.problem(name, fmt.Sprintf("is %q", text), "use one of "+strings.Join(words, ", "))
	}
	return text
}

func (p *parser) level(name, text string) zerolog.Level {
	p.oneOf(name, text, "trace", "debug", "info", "warn", "error")
	level, _ := zerolog.ParseLevel(text)
	return level
}

// urls reads endpoints of the API. Problems tell them by number, because a URL
// may hold a password and url.Parse quotes what it can't read.
func (p *parser) urls(name, text string) []*url.URL {
	var all []*url.URL
	items := list(text)
	if len(items) == 0 {
		p.problem(name, "names no endpoint", "leave it out for ZEGO's own")
	}
	for i, item := range items {
		u, err := url.Parse(item)
		if err != nil {
			u = new(url.URL) // which has no host: no URL
		}
		if what, do := sinOfEndpoint(u); what != "" {
			p.problem(name, fmt.Sprintf("has an entry, number %d, that %s", i+1, what), do)
			continue
		}
		if u.Path == "" {
			u.Path = "/"
		}
		all = append(all, u)
	}
	return all
}

// sinOfEndpoint says what is wrong with u as an endpoint of the API, and what
// to do about it. The signed query must not be readable on the way, so http is
// for a stand-in on this machine only.
func sinOfEndpoint(u *url.URL) (what, do string) {
	const example = "write it like https://rtc-api.zego.im/"
	switch {
	case u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is no https URL", example
	case u.Port() != "" && !isPort(u.Port()):
		return "has a port beyond 65535", example
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "has more than a host and a path", example
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "is http, which anybody on the way can read", "use https"
	}
	return "", ""
}

// prefixes reads networks; a bare address is the network of itself.
func (p *parser) prefixes(name, text string) []netip.Prefix {
	var all []netip.Prefix
	for _, item := range list(text) {
		network, err := netip.ParsePrefix(item)
		if err != nil {
			addr, addrErr := netip.ParseAddr(item)
			if addrErr != nil {
				p.problem(name, fmt.Sprintf("has %q, not a network", item), "write it like 10.1.0.0/16")
				continue
			}
			addr = addr.Unmap() // a peer of ::ffff:10.1.2.3 shows as 10.1.2.3
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, network.Masked())
	}
	return all
}

// networks is prefixes with words for those that everybody has.
func (p *parser) networks(name, text string) []netip.Prefix {
	var items []string
	for _, item := range list(text) {
		switch item {
		case "loopback":
			items = append(items, "127.0.0.0/8", "::1/128")
		case "private": // RFC 1918, RFC 4193, and addresses of one link
			items = append(items, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
		case "any":
			items = append(items, "0.0.0.0/0", "::/0")
		default:
			items = append(items, item)
		}
	}
	return p.prefixes(name, strings.Join(items, ","))
}

func (p *parser) address(name, text string) string {
	host, port, err := net.SplitHostPort(text)
	if err != nil || !isPort(port) || strings.ContainsAny(host, " \t\r\n/") {
		p.problem(name, fmt.Sprintf("is %q, not an address to listen on", text), "write it like :1935 or 10.1.2.3:1935")
	}
	return text
}

// tls reads the three that belong together.
func (p *parser) tls(listen, cert, key string) (string, string, string) {
	if listen == "" {
		if cert != "" || key != "" {
			p.problem("TLS_CERT", "or TLS_KEY is set without RTMPS_LISTEN", "set RTMPS_LISTEN to an address, like :1936")
		}
		return "", "", ""
	}
	p.address("RTMPS_LISTEN", listen)
	const both = "RTMPS_LISTEN needs both a certificate and its key"
	if cert == "" {
		p.problem("TLS_CERT", "is not set", both)
	}
	if key == "" {
		p.problem("TLS_KEY", "is not set", both)
	}
	if cert != "" && key != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			// The reason without the path: it may be a key, put here for its file.
			p.problem("TLS_CERT", "and TLS_KEY are of no use ("+reasonOf(err)+")", "name a certificate and its key, both PEM")
		}
	}
	return listen, cert, key
}

// http reads the operators' address. Without a token it is of this machine only:
// nothing else would protect what is served there.
func (p *parser) http(name, text string, hasToken bool) string {
	if text == "off" {
		return ""
	}
	before := len(p.problems)
	p.address(name, text)
	host, _, err := net.SplitHostPort(text)
	if len(p.problems) == before && err == nil && !hasToken && !isLoopback(host) {
		p.problem(name, fmt.Sprintf("is %q, which others can reach, and there is no token", text),
			"set ZEGORELAY_HTTP_TOKEN or ZEGORELAY_HTTP_TOKEN_FILE, or use 127.0.0.1 and a port, or off")
	}
	return text
}

func (p *parser) app(name, text string) string {
	if !regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`).MatchString(text) {
		p.problem(name, fmt.Sprintf("is %q", text), "use letters, digits, dots, - and _, with slashes only in between")
	}
	return text
}

func (p *parser) template(name, text string) string {
	literal := strings.NewReplacer("{app}", "", "{key}", "").Replace(text)
	switch {
	case !strings.Contains(text, "{key}"):
		p.problem(name, fmt.Sprintf("is %q, one StreamId for all keys", text), "put {key} into it")
	case !regexp.MustCompile(`^[A-Za-z0-9_-]*$`).MatchString(literal):
		p.problem(name, fmt.Sprintf("is %q", text), "use letters, digits, - and _ beside {app} and {key}")
	}
	return text
}

// list splits at commas and drops blanks.
func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// ipv4 is an address, or none.
func (p *parser) ipv4(name, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		p.problem(name, fmt.Sprintf("is %q, not an IPv4 address", text), "write it like 203.0.113.7, or leave it out")
		return netip.Addr{}
	}
	return addr
}
