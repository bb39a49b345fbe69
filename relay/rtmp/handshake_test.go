package rtmp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"testing"
)

// C1 of a real ffmpeg and of a real OBS: one is signed, the other is not.
func TestDigestOfRealClients(t *testing.T) {
	for file, signed := range map[string]bool{"ffmpeg-5.1.bin": true, "ffmpeg-8.1-hevc-aac.bin": true, "obs-29.0.2.bin": false} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		c1 := b[1 : 1+packetBytes]
		digest, _ := findDigest(c1)
		if (digest != nil) != signed {
			t.Errorf("%s: signed: %v, want %v", file, digest != nil, signed)
		}
		if signed {
			c1[100] ^= 1
			if digest, _ := findDigest(c1); digest != nil {
				t.Errorf("%s: an altered C1 passes for signed", file)
			}
		}
	}
}

// signedC1 is a digest client's C1 by the layout at base.
func signedC1(base int) []byte {
	c1 := payload(packetBytes, 9)
	copy(c1[4:], []byte{9, 0, 124, 2})
	at := digestAt(c1, base)
	copy(c1[at:], sign(c1, at, playerName))
	return c1
}

func TestDigestAnswer(t *testing.T) {
	for _, base := range digestLayouts() {
		c1 := signedC1(base)
		digest, got := findDigest(c1)
		if got != base {
			t.Fatalf("layout %d: found at %d", base, got)
		}
		answer := answerDigest(digest, base)
		s1, s2 := answer[1:1+packetBytes], answer[1+packetBytes:]
		at := digestAt(s1, base)
		if answer[0] != 3 || !hmac.Equal(s1[at:at+digestBytes], sign(s1, at, serverName)) {
			t.Errorf("layout %d: S1 is not signed", base)
		}
		// As a client checks S2.
		key := hmac.New(sha256.New, []byte(serverName+secretTail))
		key.Write(digest)
		mac := hmac.New(sha256.New, key.Sum(nil))
		mac.Write(s2[:packetBytes-digestBytes])
		if !hmac.Equal(s2[packetBytes-digestBytes:], mac.Sum(nil)) {
			t.Errorf("layout %d: S2 is not signed", base)
		}
	}
}

// writes counts writes and keeps what was written.
type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) {
	w.n++
	return w.Buffer.Write(p)
}

// pausing gives its parts one by one, and checks before each what was answered.
type pausing struct {
	parts  [][]byte
	before func(part int)
	next   int
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.next == len(p.parts) {
		return 0, io.EOF
	}
	p.before(p.next)
	n := copy(b, p.parts[p.next])
	p.next++
	return n, nil
}

// S0, S1 and S2 go out in one write as soon as C0 and C1 are there, and the
// first chunk behind C2 is not swallowed.
func TestAcceptHandshake(t *testing.T) {
	for name, c1 := range map[string][]byte{
		"simple":              append(make([]byte, 8), payload(packetBytes-8, 5)...),
		"a version, unsigned": append([]byte{0, 0, 0, 1, 9, 0, 124, 2}, payload(packetBytes-8, 5)...),
		"digest at 8":         signedC1(8),
		"digest at 772":       signedC1(772),
	} {
		t.Run(name, func(t *testing.T) {
			var out writes
			in := &pausing{
				parts: [][]byte{append([]byte{3}, c1[:100]...), c1[100:], append(payload(packetBytes, 77), "first"...)},
				before: func(part int) {
					if want := []int{0, 0, 1 + 2*packetBytes}[part]; out.Len() != want {
						t.Errorf("before part %d of the input: %d bytes were answered, want %d", part, out.Len(), want)
					}
				},
			}
			r := NewReader(in, Limits{})
			if err := acceptHandshake(r, &out); err != nil {
				t.Fatal(err)
			}
			if out.n != 1 {
				t.Errorf("the answer took %d writes", out.n)
			}
			if b, err := r.peek(5); err != nil || string(b) != "first" {
				t.Errorf("behind the handshake: %q, %v", b, err)
			}
			if r.received != 0 {
				t.Errorf("%d bytes count towards acknowledgements", r.received)
			}
		})
	}
}

func TestHandshakeEnds(t *testing.T) {
	whole := append([]byte{3}, signedC1(8)...)
	whole = append(whole, payload(packetBytes, 1)...)
	for n := range whole {
		if n%97 != 0 && n > 3 {
			continue
		}
		err := acceptHandshake(NewReader(bytes.NewReader(whole[:n]), Limits{}), io.Discard)
		if !errors.Is(err, ErrPeerClosed) {
			t.Errorf("cut after %d bytes: got %v", n, err)
		}
	}
}
