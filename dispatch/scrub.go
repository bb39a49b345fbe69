package dispatch

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// How much of other people's words is kept, in bytes.
const (
	maxMessage = 200 // of ZEGO
	maxCause   = 500 // of net/http, which quotes whole header lines of the answer
)

// privacy keeps to itself what one call must not tell. An answer may repeat the
// request, in the body, in a header or in place of the status line; for ten
// minutes its signature is as good as the secret.
type privacy struct{ hide *strings.Replacer }

// privacy of a call with this query. The longest comes first, so that nothing
// is left of a parameter but its place.
func (s Signer) privacy(query url.Values) privacy {
	const hidden = "***"
	pairs := []string{query.Encode(), hidden}
	for _, name := range []string{"SignatureNonce", "Signature"} {
		value := query.Get(name)
		pairs = append(pairs, name+"="+value, hidden, value, hidden)
	}
	if secret := s.secret(); secret != "" {
		pairs = append(pairs, secret, hidden)
	}
	return privacy{strings.NewReplacer(pairs...)}
}

// message makes words of the answer fit for one log line.
func (p privacy) message(words string) string { return escape(p.hide.Replace(words), maxMessage) }

// cause makes an error of net/http fit to be printed. It stays what it is if it
// gives nothing away; else only its words are left, for whoever unwraps it
// would find the others.
func (p privacy) cause(err error) error {
	err = withoutURL(err)
	words := err.Error()
	if fit := escape(p.hide.Replace(words), maxCause); fit != words {
		return errors.New(fit)
	}
	return err
}

// withoutURL takes the signed URL out of what an HTTP client says: a *url.Error
// quotes it whole, query and signature included.
func withoutURL(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	return withoutURL(u.Err)
}

// escape shows what is not printable as Go would, and cuts behind most bytes.
// That includes what turns a terminal's text around or colours it.
func escape(s string, most int) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		shown := s[:size]
		if broken := r == utf8.RuneError && size == 1; broken || !strconv.IsPrint(r) {
			quoted := strconv.Quote(shown)
			shown = quoted[1 : len(quoted)-1]
		}
		if b.Len()+len(shown) > most {
			return b.String() + "…"
		}
		b.WriteString(shown)
		s = s[size:]
	}
	return b.String()
}
