package main

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// logQueueBytes bounds what waits for a reader of the log that has stalled: some
	// thousand lines.
	logQueueBytes = 1 << 20

	// logLineCost is what a waiting line takes besides its bytes.
	logLineCost = 64

	// logDrainTime is how long the end of the program waits for that reader.
	logDrainTime = time.Second
)

// logQueue is where log lines go in, without ever blocking who logs: a pipe that
// nobody reads, a stopped journald and a full disk cost log lines, and no media.
// One goroutine owns the writes, which may block. Over the bound the oldest lines
// are dropped: the newest say how it is now, and why the program ends.
//
// zerolog/diode, made for the same, has no bound in bytes, and forgets on Close
// what it holds.
type logQueue struct {
	out   io.Writer // formats lines and writes them to file
	file  io.Writer
	most  int          // bytes
	level atomic.Int32 // zerolog's; lines below are not taken

	mu      sync.Mutex
	changed sync.Cond
	lines   [][]byte // oldest first
	bytes   int
	dropped uint64
	untold  uint64 // of them, what no line has told of
	closed  bool
	ended   chan struct{} // closed when nothing is written any more
}

// newLogQueue starts the goroutine that writes lines to out, one a Write, until
// Close. File is where they end up.
func newLogQueue(out, file io.Writer, most int) *logQueue {
	q := &logQueue{out: out, file: file, most: most, ended: make(chan struct{})}
	q.changed.L = &q.mu
	go q.drain()
	return q
}

// Write takes one line. It blocks for no longer than copying it takes, and doesn't
// keep it. It never fails: zerolog would write its complaint to where lines can't be
// written.
func (q *logQueue) Write(line []byte) (int, error) {
	kept := bytes.Clone(line)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.lose(1)
		return len(line), nil
	}
	q.lines = append(q.lines, kept)
	q.bytes += len(kept) + logLineCost
	for q.bytes > q.most {
		q.pop()
		q.lose(1)
	}
	q.changed.Signal()
	return len(line), nil
}

// WriteLevel is Write for a line of a level. Loggers keep the level that they were made
// with; that of the queue can change.
func (q *logQueue) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if level < zerolog.Level(q.level.Load()) {
		return len(line), nil
	}
	return q.Write(line)
}

// SetLevel has lines below a level not taken from now on.
func (q *logQueue) SetLevel(level zerolog.Level) { q.level.Store(int32(level)) }

// Dropped returns how many lines were dropped so far.
func (q *logQueue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close takes no more lines and returns when all are written, or after the drain
// time. A write that is still blocked then is interrupted, where the system can do
// that (pipes and sockets that are ours); a blocked write to a file that we have
// inherited, as standard error is, ends with the process.
func (q *logQueue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.changed.Signal()
	q.mu.Unlock()
	timer := time.NewTimer(logDrainTime)
	defer timer.Stop()
	select {
	case <-q.ended:
		return nil
	case <-timer.C:
	}
	q.mu.Lock()
	q.lose(uint64(len(q.lines)))
	q.lines, q.bytes = nil, 0
	q.mu.Unlock()
	if interrupt(q.file) {
		<-q.ended
	}
	return nil
}

// drain writes lines as they come, until Close.
func (q *logQueue) drain() {
	defer close(q.ended)
	for {
		line, untold := q.next()
		if line == nil {
			return
		}
		if untold > 0 {
			if _, err := q.out.Write(dropNotice(untold)); err == nil {
				q.told(untold)
			}
		}
		if _, err := q.out.Write(line); err != nil {
			q.mu.Lock()
			q.lose(1)
			q.mu.Unlock()
		}
	}
}

// next waits for a line. It returns it, and the number of lines before it that were
// dropped without anybody being told; nil when there will be no more.
func (q *logQueue) next() (line []byte, untold uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.lines) == 0 && !q.closed {
		q.changed.Wait()
	}
	if len(q.lines) == 0 {
		return nil, 0
	}
	return q.pop(), q.untold
}

// pop removes the oldest line. The caller holds the lock.
func (q *logQueue) pop() []byte {
	line := q.lines[0]
	q.lines[0] = nil // or the array would keep it
	q.lines = q.lines[1:]
	q.bytes -= len(line) + logLineCost
	return line
}

// lose counts lines that nobody will read. The caller holds the lock.
func (q *logQueue) lose(n uint64) {
	q.dropped += n
	q.untold += n
}

func (q *logQueue) told(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.untold -= n
}

// dropNotice is the line that tells of n dropped ones. It has the time at which
// lines could be written again.
func dropNotice(n uint64) []byte {
	var line bytes.Buffer
	log := zerolog.New(&line).With().Timestamp().Logger()
	log.Warn().Uint64(logDropped, n).Msg("log lines were dropped: nobody read them in time, or they could not be written")
	return line.Bytes()
}

// interrupt ends a blocked write, and reports whether it can.
func interrupt(file io.Writer) bool {
	f, ok := file.(interface{ SetWriteDeadline(t time.Time) error })
	return ok && f.SetWriteDeadline(time.Now()) == nil
}
