package relay

import (
	"sync"
	"time"
	"unsafe"

	"zegorelay/relay/rtmp"
)

// entry is one message and what was learnt of it when it came in.
type entry struct {
	rtmp.Message
	info  rtmp.Info
	start bool // a session can begin here
	at    time.Time

	// An epoch is what one session can carry. A message that begins one, other
	// than the first, has all headers of it.
	epoch   uint32
	opening *headers
}

// entrySize is what a message takes beside its payload.
const entrySize = int(unsafe.Sizeof(entry{}))

// size is what the entry takes in memory, about.
func (e *entry) size() int { return cap(e.Payload) + entrySize }

// blockLen entries are as long as one of Go's size classes, 3 KB.
const blockLen = 32

type block [blockLen]entry

// entries are those of a backlog, from the oldest to the newest, in blocks that all
// backlogs of the process take from and give back to: a slice that is appended to at
// its end and cut at its beginning is made anew every GOP, half of it empty, and that
// was most of all garbage.
type entries struct {
	spare  *sync.Pool // of *block, empty ones
	blocks []*block   // none without an entry
	first  int        // place of the oldest in blocks[0]
	count  int
}

func (s *entries) len() int { return s.count }

// at is the entry with so many before it.
func (s *entries) at(i int) *entry {
	i += s.first
	return &s.blocks[i/blockLen][i%blockLen]
}

func (s *entries) add(e *entry) {
	end := s.first + s.count
	if end == len(s.blocks)*blockLen {
		b, ok := s.spare.Get().(*block)
		if !ok {
			b = new(block)
		}
		s.blocks = append(s.blocks, b)
	}
	s.blocks[end/blockLen][end%blockLen] = *e
	s.count++
}

// drop forgets the n oldest.
func (s *entries) drop(n int) {
	for i := range n {
		*s.at(i) = entry{} // the payload is not the block's to keep
	}
	s.first, s.count = s.first+n, s.count-n
	done := s.first / blockLen
	if s.count == 0 {
		done, s.first = len(s.blocks), 0
	}
	s.first %= blockLen
	for _, b := range s.blocks[:done] {
		s.spare.Put(b)
	}
	left := copy(s.blocks, s.blocks[done:])
	clear(s.blocks[left:])
	s.blocks = s.blocks[:left]
}
