// Package config says what the operator asked for: the environment, read once,
// checked whole, and turned into values that the rest of the program can use as
// they are.
//
// To add a variable: a field in raw with its default and meaning, a field in
// Config, and a line in read that parses the one into the other.
package config

import (
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"time"

	"github.com/rs/zerolog"
)

// Config is a valid configuration.
type Config struct {
	AppID        uint32
	ServerSecret Secret // 32 characters

	APIURL          []*url.URL     // in order of preference
	APIAction       string         // RTMPDispatchV2 or RTMPDispatch
	IsTest          string         // true, false, or empty: not said
	ClientIP        netip.Addr     // IPv4; invalid: not said
	DispatchRate    float64        // requests a second, for the process
	DispatchTimeout time.Duration  // one request, whole
	NodeAllow       []netip.Prefix // non-public node addresses to accept

	RTMPListen  string // host:port
	RTMPSListen string // host:port; empty: none
	TLSCert     string // file, PEM
	TLSKey      string // file, PEM
	HTTPListen  string // host:port, of this machine unless there is a token; empty: off
	HTTPToken   Secret // empty: none
	App         string // RTMP application
	PullApp     string // RTMP application for playing
	StreamID    string // template with {app} and {key}, for keys without a list
	StreamsFile string // YAML; empty: there is no list, and any key may publish
	Streams     []Stream

	WebhookURL    Secret // http or https, may hold a password; empty: none
	WebhookSecret Secret // signs what is sent there; empty: nothing does

	Conflict         string        // auto, takeover or reject
	Grace            time.Duration // how long a lost encoder keeps its node; 0: not at all
	PublisherTimeout time.Duration // silence of an encoder
	Backlog          time.Duration // age of undelivered media
	BacklogBytes     int64         // bytes of it, for one stream
	Memory           int64         // bytes of the process
	ConnectTimeout   time.Duration // from dial to Publish.Start
	StallTimeout     time.Duration // no progress with data under way
	RetryMin         time.Duration // longest first wait; at most RetryMax
	RetryMax         time.Duration // longest wait
	PlayAllow        []netip.Prefix
	PullIdle         time.Duration // how long a pulled stream outlasts its players
	PullWait         time.Duration // how long players are held without media
	MaxStreams       int           // at a time
	MaxConnections   int           // at a time
	ShutdownTimeout  time.Duration // to deliver the rest

	LogLevel  zerolog.Level
	LogFormat string // auto, console or json

	raw         raw               // as it was given, for Print, but for the secrets
	secretFiles map[string]string // where secrets came from, by variable; those from files only
}

// raw is the environment as envconfig reads it. All of it is text: envconfig
// stops at the first value that it can't parse, and quotes it, which would show
// one problem at a time and a secret in the open. (APIUrl is spelt so that
// envconfig finds its two words.)
type raw struct {
	AppID             string `split_words:"true" desc:"AppID of the ZEGO project (required)"`
	ServerSecret      string `split_words:"true" desc:"its ServerSecret (required, here or in a file)"`
	ServerSecretFile  string `split_words:"true" desc:"file that holds the ServerSecret; systemd's credential server-secret comes first"`
	APIUrl            string `split_words:"true" default:"https://rtc-api.zego.im/" desc:"API endpoints, comma list in order of preference"`
	APIAction         string `split_words:"true" default:"RTMPDispatchV2" desc:"API action: RTMPDispatchV2, or the older RTMPDispatch"`
	IsTest            string `split_words:"true" desc:"for projects from before November 2021 only: false, or true, which adds zegotest-APPID- to StreamIds"`
	ClientIP          string `split_words:"true" desc:"public IPv4 address of this site, by which ZEGO chooses nodes; unset: that of the connection"`
	DispatchRate      string `split_words:"true" default:"10" desc:"API requests a second, for the process (ZEGO: 40 per AppID)"`
	DispatchTimeout   string `split_words:"true" default:"5s" desc:"one API request, whole"`
	NodeAllow         string `split_words:"true" desc:"non-public node addresses to accept, comma list of CIDRs"`
	RTMPListen        string `split_words:"true" default:":1935" desc:"address for encoders"`
	RTMPSListen       string `split_words:"true" desc:"address for encoders that use TLS"`
	TLSCert           string `split_words:"true" desc:"file with its certificate and chain (PEM); read again when it changes"`
	TLSKey            string `split_words:"true" desc:"file with the certificate's key (PEM)"`
	HTTPListen        string `split_words:"true" default:"127.0.0.1:8935" desc:"address for status page, API and metrics, or off; a loopback one unless there is a token"`
	HTTPToken         string `split_words:"true" desc:"password of page and API: needed to change something, and to see anything from elsewhere; at least 16 characters"`
	HTTPTokenFile     string `split_words:"true" desc:"file that holds the token; systemd's credential http-token comes first"`
	App               string `default:"live" desc:"RTMP application that encoders publish to"`
	PullApp           string `split_words:"true" default:"pull" desc:"RTMP application by which players play a StreamId from ZEGO"`
	StreamID          string `split_words:"true" default:"{key}" desc:"StreamId of a stream key that no file lists: a template with {app} and {key}"`
	StreamsFile       string `split_words:"true" desc:"YAML file that lists the streams that may be published, each with its key; unset: any StreamId may be; read again on SIGHUP"`
	WebhookURL        string `split_words:"true" desc:"http or https URL that gets events as JSON by POST"`
	WebhookSecret     string `split_words:"true" desc:"signs them (X-Zegorelay-Signature); at least 16 characters"`
	WebhookSecretFile string `split_words:"true" desc:"file that holds the webhook's secret; systemd's credential webhook-secret comes first"`
	Conflict          string `default:"auto" desc:"second publisher of a stream: auto (from the same address, or if the first is silent for 3 s, takes over; else refused), takeover or reject"`
	Grace             string `default:"10s" desc:"how long an encoder lost without goodbye keeps its node; 0s: not at all"`
	PublisherTimeout  string `split_words:"true" default:"15s" desc:"silence after which an encoder is given up"`
	Backlog           string `default:"10s" desc:"age up to which undelivered media is kept"`
	BacklogBytes      string `split_words:"true" default:"64MiB" desc:"bytes of it, for one stream"`
	Memory            string `default:"1GiB" desc:"bytes of the whole process: five eighths are for undelivered media"`
	ConnectTimeout    string `split_words:"true" default:"5s" desc:"node: from dial to Publish.Start"`
	StallTimeout      string `split_words:"true" default:"5s" desc:"node: no progress with data under way"`
	RetryMin          string `split_words:"true" default:"200ms" desc:"longest first wait for another node"`
	RetryMax          string `split_words:"true" default:"15s" desc:"longest wait for another node"`
	PlayAllow         string `split_words:"true" default:"loopback,private" desc:"addresses that may play, comma list of CIDRs and of the words loopback, private and any"`
	PullIdle          string `split_words:"true" default:"10s" desc:"how long a pulled stream goes on after its last player; 0s: not at all"`
	PullWait          string `split_words:"true" default:"10s" desc:"how long players are held while there is nothing to play"`
	MaxStreams        string `split_words:"true" default:"1000" desc:"streams at a time, pulled ones included"`
	MaxConnections    string `split_words:"true" default:"4000" desc:"connections of encoders and players at a time"`
	ShutdownTimeout   string `split_words:"true" default:"10s" desc:"time to deliver the rest after an encoder's end or SIGTERM"`
	LogLevel          string `split_words:"true" default:"info" desc:"trace, debug, info, warn or error"`
	LogFormat         string `split_words:"true" default:"auto" desc:"console, json, or auto: console on a terminal"`
}

// read parses every value; what is wrong goes to p.
func (c *Config) read(p *parser) {
	r := c.raw
	c.AppID = p.appID("APP_ID", r.AppID)
	c.readSecrets(p)
	c.APIURL = p.urls("API_URL", r.APIUrl)
	c.APIAction = p.oneOf("API_ACTION", r.APIAction, "RTMPDispatchV2", "RTMPDispatch")
	c.IsTest = p.oneOf("IS_TEST", r.IsTest, "", "true", "false")
	c.ClientIP = p.ipv4("CLIENT_IP", r.ClientIP)
	c.DispatchRate = p.rate("DISPATCH_RATE", r.DispatchRate, 40)
	c.DispatchTimeout = p.duration("DISPATCH_TIMEOUT", r.DispatchTimeout, 100*time.Millisecond, time.Minute)
	c.NodeAllow = p.prefixes("NODE_ALLOW", r.NodeAllow)
	c.RTMPListen = p.address("RTMP_LISTEN", r.RTMPListen)
	c.RTMPSListen, c.TLSCert, c.TLSKey = p.tls(r.RTMPSListen, r.TLSCert, r.TLSKey)
	c.HTTPListen = p.http("HTTP_LISTEN", r.HTTPListen, c.hasHTTPToken())
	c.App = p.app("APP", r.App)
	c.PullApp = p.app("PULL_APP", r.PullApp)
	c.StreamID = p.template("STREAM_ID", r.StreamID)
	c.Conflict = p.oneOf("CONFLICT", r.Conflict, "auto", "takeover", "reject")
	c.Grace = p.grace("GRACE", r.Grace)
	c.PublisherTimeout = p.duration("PUBLISHER_TIMEOUT", r.PublisherTimeout, time.Second, time.Hour)
	c.Backlog = p.backlog("BACKLOG", r.Backlog)
	c.BacklogBytes = p.backlogBytes("BACKLOG_BYTES", r.BacklogBytes)
	c.Memory = p.size("MEMORY", r.Memory, 64<<20, 1<<40)
	c.ConnectTimeout = p.duration("CONNECT_TIMEOUT", r.ConnectTimeout, 100*time.Millisecond, time.Minute)
	c.StallTimeout = p.duration("STALL_TIMEOUT", r.StallTimeout, 500*time.Millisecond, time.Minute)
	c.RetryMin = p.duration("RETRY_MIN", r.RetryMin, time.Millisecond, time.Minute)
	c.RetryMax = p.duration("RETRY_MAX", r.RetryMax, time.Millisecond, time.Hour)
	c.PlayAllow = p.networks("PLAY_ALLOW", r.PlayAllow)
	c.PullIdle = p.duration("PULL_IDLE", r.PullIdle, 0, time.Hour)
	c.PullWait = p.duration("PULL_WAIT", r.PullWait, time.Second, time.Hour)
	c.MaxStreams = int(p.integer("MAX_STREAMS", r.MaxStreams, 1, 1_000_000))
	c.MaxConnections = int(p.integer("MAX_CONNECTIONS", r.MaxConnections, 1, 1_000_000))
	c.ShutdownTimeout = p.duration("SHUTDOWN_TIMEOUT", r.ShutdownTimeout, 100*time.Millisecond, 10*time.Minute)
	c.LogLevel = p.level("LOG_LEVEL", r.LogLevel)
	c.LogFormat = p.oneOf("LOG_FORMAT", r.LogFormat, "auto", "console", "json")
	c.readStreams(p, r.StreamsFile)
	if c.App == c.PullApp && c.App != "" {
		p.problem("PULL_APP", fmt.Sprintf("is %s, as is APP", c.PullApp), "give them two names")
	}
	if c.RetryMax > 0 && c.RetryMin > c.RetryMax { // 0: its own problem is said
		p.problem("RETRY_MIN", fmt.Sprintf("is %v, longer than RETRY_MAX, %v", c.RetryMin, c.RetryMax), "make it shorter")
	}
}

// Print writes a line for every variable with the value in force, and behind it
// whether that is the default or came from a file. Secrets are masked.
func (c *Config) Print(w io.Writer) error {
	secrets := c.masked()
	for _, v := range variables(&c.raw) {
		value, origin := v.value, ""
		mask, isSecret := secrets[v.Name]
		switch {
		case isSecret && mask != "":
			value = mask
			if file := c.secretFiles[v.Name]; file != "" {
				origin = " # from " + file
			}
		case value == v.Default:
			origin = " # default"
		}
		if _, err := fmt.Fprintf(w, "%s=%s%s\n", v.Name, value, origin); err != nil {
			return err
		}
	}
	return nil
}
