package zegosim

import (
	"fmt"

	"zegorelay/relay/rtmp"
)

const (
	firstTimeMost = 2000 // ms: where the time of a session may begin
	fallMost      = 1000 // ms: how far the tracks may be out of step
)

// check looks at one session as it comes in. It knows the rules for the
// beginning of a session and for its time.
type check struct {
	violate func(what string)

	begun, key, metadata bool
	headers              map[rtmp.Type]bool
	last                 map[rtmp.Type]uint32
	latest               uint32
}

func (c *check) message(m rtmp.Message) {
	if c.headers == nil {
		c.headers, c.last = make(map[rtmp.Type]bool), make(map[rtmp.Type]uint32)
	}
	kind := m.Inspect().Kind
	switch {
	case kind == rtmp.Metadata:
		c.metadata = true
	case kind == rtmp.SequenceHeader:
		c.headers[m.Type] = true
	case m.Type == rtmp.TypeVideo:
		c.video(kind)
	case m.Type == rtmp.TypeAudio && !c.headers[m.Type] && isAAC(m):
		c.violate("an AAC frame before its sequence header")
		c.headers[m.Type] = true // said once
	}
	if kind == rtmp.Frame || kind == rtmp.Keyframe {
		c.time(m)
	}
}

func (c *check) video(kind rtmp.Kind) {
	if !c.key && kind != rtmp.Keyframe {
		c.violate("the first video frame is no keyframe")
	}
	if !c.key && !c.headers[rtmp.TypeVideo] {
		c.violate("a video frame before the sequence header")
	}
	if !c.key && !c.metadata {
		c.violate("a video frame before the metadata")
	}
	c.key = true
}

// time holds a frame's time against what came before. The wrap at 2^32 is no
// fall.
func (c *check) time(m rtmp.Message) {
	if !c.begun {
		c.begun, c.latest = true, m.Timestamp
		if m.Timestamp > firstTimeMost {
			c.violate(fmt.Sprintf("the session begins at %d ms", m.Timestamp))
		}
	}
	if last, ok := c.last[m.Type]; ok && int32(m.Timestamp-last) < 0 {
		c.violate(fmt.Sprintf("%v falls from %d to %d ms", m.Type, last, m.Timestamp))
	}
	if int32(m.Timestamp-c.latest) < -fallMost {
		c.violate(fmt.Sprintf("%v at %d ms is far behind %d ms", m.Type, m.Timestamp, c.latest))
	}
	if int32(m.Timestamp-c.latest) > 0 {
		c.latest = m.Timestamp
	}
	c.last[m.Type] = m.Timestamp
}

func isAAC(m rtmp.Message) bool { return len(m.Payload) > 0 && m.Payload[0]>>4 == 10 }
