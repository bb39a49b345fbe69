package media

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// showtime is when all shows of tests begin.
func showtime() time.Time { return time.Date(2026, 11, 3, 20, 0, 0, 0, time.UTC) }

// sent is a message, and when it comes.
type sent struct {
	rtmp.Message
	info rtmp.Info
	at   time.Time
}

func (s sent) into(m *Meter) { m.Note(s.Message, s.info, s.at) }

// studio is an encoder as OBS is one: H.264 at a constant bit rate and AAC.
type studio struct {
	fps     float64 // [30]
	gop     int     // frames from keyframe to keyframe [2 s of them]
	bFrames bool    // two between any others
	rate    int     // of the picture, bits a second [4 Mbit/s]
	first   uint32  // timestamp
	ahead   float64 // ms by which sound is stamped ahead of the picture
	noAudio bool
	noVideo bool
	codec   string // sequence header of the picture, in hex [H.264 High 1920x1080]
}

const (
	high1080 = "170000000001640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65801000468ef8fcbfdf8f800"
	svt1080  = "906176303181080c000a0b00000042abbfc3700be001"
	aac48    = "af001190"
)

// show is everything that the encoder sends from a time on, headers first.
func (s studio) show(from time.Time, lasts time.Duration) []sent {
	var all []sent
	if !s.noVideo {
		all = s.pictures(from, lasts)
	}
	if !s.noAudio {
		all = append(all, s.sound(from, lasts)...)
	}
	slices.SortStableFunc(all, func(a, b sent) int { return a.at.Compare(b.at) })
	return all
}

func (s studio) pictures(from time.Time, lasts time.Duration) []sent {
	fps := s.fps
	if fps == 0 {
		fps = 30
	}
	gop, rate, codec := s.gop, s.rate, s.codec
	if gop == 0 {
		gop = int(math.Round(2 * fps))
	}
	if rate == 0 {
		rate = 4e6
	}
	if codec == "" {
		codec = high1080
	}
	ms := func(frame int) int { return int(math.Round(float64(frame) * 1000 / fps)) }
	all := []sent{s.message(from, rtmp.TypeVideo, 0, unhex(codec))}
	for i := 0; float64(i) < lasts.Seconds()*fps; i++ {
		in, shown, size := i%gop, i, int(float64(rate)/8/fps)
		p := []byte("\x27\x01\x00\x00\x00")
		switch {
		case codec == svt1080:
			p = []byte("\xa1av01\x00")
			if in == 0 {
				p[0] = 0x91
			}
		case in == 0:
			p[0] = 0x17
		}
		if s.bFrames && in > 0 {
			shown = i + [3]int{2, -1, -1}[(in-1)%3]
		}
		if s.bFrames {
			offset := ms(shown+1) - ms(i)
			p[3], p[4] = byte(offset>>8), byte(offset)
		}
		p = append(p, make([]byte, max(size-len(p), 0))...)
		all = append(all, s.message(from, rtmp.TypeVideo, ms(i), p))
	}
	return all
}

func (s studio) sound(from time.Time, lasts time.Duration) []sent {
	all := []sent{s.message(from, rtmp.TypeAudio, 0, unhex(aac48))}
	for i := 0; float64(i)*1024/48 < float64(lasts.Milliseconds()); i++ {
		at := int(math.Round(float64(i) * 1024 / 48))
		e := s.message(from, rtmp.TypeAudio, at, append([]byte("\xaf\x01"), make([]byte, 300)...))
		e.Timestamp += uint32(int32(s.ahead))
		all = append(all, e)
	}
	return all
}

func (s studio) message(from time.Time, typ rtmp.Type, ms int, payload []byte) sent {
	m := rtmp.Message{Type: typ, Timestamp: s.first + uint32(ms), Payload: payload}
	return sent{Message: m, info: m.Inspect(), at: from.Add(time.Duration(ms) * time.Millisecond)}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// captured is what a real encoder sent, from its first message at showtime on,
// in its own time.
func captured(t *testing.T, file string) []sent {
	t.Helper()
	b, err := os.ReadFile("../rtmp/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	r := rtmp.NewReader(bytes.NewReader(b), rtmp.Limits{})
	const handshake = 1 + 2*1536
	if _, err := io.CopyN(io.Discard, r, handshake); err != nil {
		t.Fatal(err)
	}
	var all []sent
	first, begun := uint32(0), false
	for {
		m, err := r.ReadMessage()
		switch {
		case errors.Is(err, rtmp.ErrPeerClosed):
			return all
		case err != nil:
			t.Fatal(err)
		case !m.IsMedia():
			continue
		}
		e := sent{Message: m, info: m.Inspect(), at: showtime()}
		if k := e.info.Kind; k == rtmp.Frame || k == rtmp.Keyframe {
			if !begun {
				first, begun = m.Timestamp, true
			}
			e.at = e.at.Add(time.Duration(m.Timestamp-first) * time.Millisecond)
		}
		all = append(all, e)
	}
}

// watch has a meter see a show, and looks every second until some time after
// showtime.
func watch(m *Meter, show []sent, until time.Duration, look func(now time.Time)) {
	end := showtime().Add(until)
	now := show[0].at.Truncate(time.Second)
	for ; !now.After(end); now = now.Add(time.Second) {
		for len(show) > 0 && !show[0].at.After(now) {
			show[0].into(m)
			show = show[1:]
		}
		m.Look(now)
		if look != nil {
			look(now)
		}
	}
}
