package rtmp

import (
	"container/list"
	"context"
	"crypto/md5" //nolint:gosec // the protocol's; keys of 128 bits do not need a password to be safe
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Adobe's authentication, authmod=adobe, as FMS asked it of FMLE and as OBS, ffmpeg,
// GStreamer and librtmp still answer it. It lives in connect and takes three connections,
// of which the server ends two with an _error whose description says how to go on:
//
//  1. the client connects as always: "code=403 need auth; authmod=adobe"
//  2. it connects to APP?authmod=adobe&user=USER and is given salt, challenge and opaque
//  3. it connects to APP?authmod=adobe&user=USER&challenge=OWN&response=R&opaque=OPAQUE,
//     where R is base64(md5(base64(md5(USER SALT PASSWORD)) OPAQUE OWN)), and is let in,
//     or told "authfailed".
//
// The password never travels, but who listens can try passwords at leisure, and the
// stream's key follows in clear: only RTMPS keeps either secret.

const (
	codeConnectRejected = "NetConnection.Connect.Rejected"

	// challengeLife is how long a client has for its third connection. Nobody types in
	// between.
	challengeLife = 30 * time.Second

	// maxChallenges bounds those that nobody has answered; the oldest goes first.
	maxChallenges = 4096
)

var (
	// ErrLoginAsked says that a client was told to log in first: it comes back.
	ErrLoginAsked = errors.New("the client was asked to log in")

	// ErrWrongLogin says that a client logged in with a wrong user or password, or much
	// too late.
	ErrWrongLogin = errors.New("wrong user or password")
)

// Door says who has to log in and with what. All fields are required, and may be called
// by many goroutines.
type Door struct {
	// IsLocked reports whether clients of an application must log in. It is given what
	// Session.App would be.
	IsLocked func(app string) bool

	// Password returns a user's.
	Password func(user string) (password string, isKnown bool)

	// BeforeJudging is called before an answer is looked at. It may block, to slow down
	// who guesses; its error ends the connection.
	BeforeJudging func(ctx context.Context, remote net.Addr) error
}

// Gate accepts clients by what a Door says. A nil Gate lets everybody in.
type Gate struct {
	door Door

	mu         sync.Mutex
	challenges map[string]*list.Element // of *challenge, by opaque
	byAge      list.List                // oldest first
}

// challenge is what a client has been given to answer, once.
type challenge struct {
	opaque, user, salt string
	given              time.Time
}

// NewGate returns a Gate for a door.
func NewGate(door Door) *Gate {
	return &Gate{door: door, challenges: make(map[string]*list.Element)}
}

// enter lets a client that connects in, and returns which user it is, if it had to say.
// Else the error is that of a client that was told why not.
func (g *Gate) enter(ctx context.Context, c *conn, transaction float64, app, query string) (user string, err error) {
	if g == nil || !g.door.IsLocked(app) {
		return "", nil
	}
	answer := parseAuth(query)
	if answer["authmod"] != "adobe" || answer["user"] == "" {
		return "", g.turnBack(c, transaction, ErrLoginAsked, "[ code=403 need auth; authmod=adobe ]")
	}
	user = answer["user"]
	if answer["response"] == "" {
		ch := g.challenge(user)
		return "", g.turnBack(c, transaction, ErrLoginAsked,
			fmt.Sprintf("[ authmod=adobe ] : ?reason=needauth&user=%s&salt=%s&challenge=%s&opaque=%s", user, ch.salt, ch.opaque, ch.opaque))
	}
	if err := g.door.BeforeJudging(ctx, c.nc.RemoteAddr()); err != nil {
		return "", err
	}
	if !g.isRight(answer) {
		return "", g.turnBack(c, transaction, ErrWrongLogin, "[ authmod=adobe ] : ?reason=authfailed")
	}
	return user, nil
}

// turnBack tells a client how to go on, and ends its connection for a reason.
func (g *Gate) turnBack(c *conn, transaction float64, reason error, description string) error {
	err := c.send(commandMessage(0, "_error", transaction, nil, statusInfo{
		Level: "error", Code: codeConnectRejected, Description: "[ AccessManager.Reject ] : " + description,
	}))
	if err != nil {
		return err
	}
	c.finish(refusalPatience)
	return reason
}

// isRight judges an answer. Its challenge can't be answered again.
func (g *Gate) isRight(answer map[string]string) bool {
	ch, isOpen := g.take(answer["opaque"])
	password, isKnown := g.door.Password(answer["user"])
	want := adobeResponse(answer["user"], ch.salt, password, ch.opaque, answer["challenge"])
	isSame := subtle.ConstantTimeCompare([]byte(want), []byte(answer["response"])) == 1
	return isSame && isOpen && isKnown && ch.user == answer["user"]
}

// adobeResponse is what a client that knows the password answers.
func adobeResponse(user, salt, password, opaque, own string) string {
	return base64MD5(base64MD5(user+salt+password) + opaque + own)
}

func base64MD5(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// challenge makes one for a user, whether there is such a user or not.
func (g *Gate) challenge(user string) challenge {
	ch := challenge{opaque: randomHex(), user: user, salt: randomHex(), given: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	for e := g.byAge.Front(); e != nil; e = g.byAge.Front() {
		if len(g.challenges) < maxChallenges && time.Since(e.Value.(*challenge).given) < challengeLife {
			break
		}
		g.remove(e)
	}
	g.challenges[ch.opaque] = g.byAge.PushBack(&ch)
	return ch
}

// take removes the challenge of an opaque, and reports whether there was one.
func (g *Gate) take(opaque string) (ch challenge, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.challenges[opaque]
	if e == nil {
		return challenge{}, false
	}
	g.remove(e)
	ch = *e.Value.(*challenge)
	return ch, time.Since(ch.given) < challengeLife
}

// remove drops a challenge. The caller holds the lock.
func (g *Gate) remove(e *list.Element) {
	g.byAge.Remove(e)
	delete(g.challenges, e.Value.(*challenge).opaque)
}

func randomHex() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// maxAuthWord bounds what of a client's words is remembered and said back.
const maxAuthWord = 256

// parseAuth reads the query that clients put behind the application. It is not decoded:
// they write base64 as it is, with its + and =.
func parseAuth(query string) map[string]string {
	answer := make(map[string]string)
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "authmod", "user", "challenge", "response", "opaque":
			if len(value) <= maxAuthWord {
				answer[name] = value
			}
		}
	}
	return answer
}
