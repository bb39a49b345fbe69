package dispatch

import (
	"crypto/md5" //nolint:gosec // ZEGO's signature is MD5; nothing else here relies on it
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
)

// Signer signs calls for one AppID. It holds the server secret where no printer
// reaches it: behind a function.
type Signer struct {
	appID  uint32
	secret func() string
}

// NewSigner returns a Signer. The secret is used as text, as ZEGO's console
// shows it.
func NewSigner(appID uint32, secret string) Signer {
	return Signer{appID: appID, secret: func() string { return secret }}
}

// Sign is the lower-case hex MD5 of AppID, nonce, secret and time, in this
// order and with nothing between them.
func (s Signer) Sign(nonce string, unixSeconds int64) string {
	text := fmt.Sprintf("%d%s%s%d", s.appID, nonce, s.secret(), unixSeconds)
	sum := md5.Sum([]byte(text)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// newNonce is 16 hex digits that were never used before.
func newNonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// query is a signed call's query, but for the parameters of the action. No two
// are the same: each has a nonce of its own.
func (s Signer) query(action string, unixSeconds int64) url.Values {
	nonce := newNonce()
	return url.Values{
		"Action":           {action},
		"AppId":            {strconv.FormatUint(uint64(s.appID), 10)},
		"SignatureNonce":   {nonce},
		"Timestamp":        {strconv.FormatInt(unixSeconds, 10)},
		"SignatureVersion": {"2.0"},
		"Signature":        {s.Sign(nonce, unixSeconds)},
	}
}
