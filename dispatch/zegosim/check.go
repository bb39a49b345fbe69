package zegosim

import "zegorelay/relay/rtmp"

const (
	firstTimeMost = 2000 // ms: where the time of a session may begin
	fallMost      = 1000 // ms: how far the tracks may be out of step
)

// check looks at one session as it comes in. It knows the rules for the
// beginning of a session and for its time. Tracks of one type count as one:
// they are sent in the order of their time.
type check struct {
	violate func(format string, args ...any)

	metadata bool
	headers  map[rtmp.Type]bool
	framed   map[rtmp.Type]bool // a frame of the type has come

	begun  bool
	last   map[rtmp.Type]uint32 // time of the last frame of a type, in ms
	latest uint32               // of all types
}

func newCheck(violate func(format string, args ...any)) *check {
	return &check{
		violate: violate,
		headers: make(map[rtmp.Type]bool),
		framed:  make(map[rtmp.Type]bool),
		last:    make(map[rtmp.Type]uint32),
	}
}

func (c *check) message(m rtmp.Message) {
	kind := m.Inspect().Kind
	switch {
	case kind == rtmp.Metadata:
		c.metadata = true
	case kind == rtmp.SequenceHeader:
		c.headers[m.Type] = true
	case m.Type == rtmp.TypeAudio || m.Type == rtmp.TypeVideo:
		if !c.framed[m.Type] {
			c.first(m, kind)
		}
		c.time(m)
	}
}

// first looks at the first frame of a type: what follows can't be better.
func (c *check) first(m rtmp.Message, kind rtmp.Kind) {
	if m.Type == rtmp.TypeVideo && kind != rtmp.Keyframe {
		c.violate("the first video frame is no keyframe")
	}
	if needsHeader(m) && !c.headers[m.Type] {
		c.violate("%v before its sequence header", m.Type)
	}
	if !c.metadata && len(c.framed) == 0 {
		c.violate("%v before the metadata", m.Type)
	}
	c.framed[m.Type] = true
}

// needsHeader knows the codecs that can't be read without a sequence header:
// AVC, and HEVC and AV1 as some number them; AAC; all video of Enhanced RTMP.
func needsHeader(m rtmp.Message) bool {
	if len(m.Payload) == 0 {
		return false
	}
	if m.Type == rtmp.TypeAudio {
		return m.Payload[0]>>4 == 10
	}
	switch codec := m.Payload[0] & 0x0F; codec {
	case 7, 12, 13:
		return true
	default:
		return m.Payload[0]&0x80 != 0
	}
}

// time holds a frame's time against what came before. The wrap at 2^32 is no
// fall.
func (c *check) time(m rtmp.Message) {
	if !c.begun {
		c.begun, c.latest = true, m.Timestamp
		if m.Timestamp > firstTimeMost {
			c.violate("the session begins at %d ms", m.Timestamp)
		}
	}
	if last, ok := c.last[m.Type]; ok && int32(m.Timestamp-last) < 0 {
		c.violate("%v falls from %d to %d ms", m.Type, last, m.Timestamp)
	}
	if int32(m.Timestamp-c.latest) < -fallMost {
		c.violate("%v at %d ms is far behind %d ms", m.Type, m.Timestamp, c.latest)
	}
	if int32(m.Timestamp-c.latest) > 0 {
		c.latest = m.Timestamp
	}
	c.last[m.Type] = m.Timestamp
}
