package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"zegorelay/config"
)

// Keys of log fields, besides those of relay.
const (
	logVersion = "version"
	logAppID   = "app_id"
	logServer  = "server"
	logKey     = "key"
	logListen  = "listen"
	logDropped = "dropped"
	logPage    = "page"
	logMetrics = "metrics"
	logMemory  = "memory" // bytes
	logWanted  = "wanted"
	logCgroup  = "cgroup"
	logMost    = "most"
	logNeeded  = "needed"
	logAfter   = "after"

	logInherited   = "inherited"
	logConnections = "connections"
	logStates      = "states"
	logSockets     = "sockets"
	logClosed      = "closed"
	logListeners   = "listeners"
	logDescriptors = "descriptors"
	logName        = "name"
	logTimes       = "times"
	logPID         = "pid"

	logProblems = "problems"
	logChanged  = "changed"
)

// newLogger logs to w: lines for people on a terminal, else JSON, with what the
// journal wants to know in front if w leads there. The caller closes the queue,
// which writes what is left.
func newLogger(w io.Writer, cfg *config.Config) (zerolog.Logger, *logQueue) {
	queue := newLogQueue(formatter(w, cfg.LogFormat), w, logQueueBytes)
	queue.SetLevel(cfg.LogLevel)
	return zerolog.New(queue).With().Timestamp().Logger(), queue
}

// formatter takes zerolog's lines and writes them to w in a format.
func formatter(w io.Writer, format string) io.Writer {
	file, isFile := w.(*os.File)
	onTerminal := isFile && isTerminal(file)
	if format == "console" || format == "auto" && onTerminal {
		return zerolog.ConsoleWriter{
			Out:              w,
			TimeFormat:       time.TimeOnly,
			NoColor:          !onTerminal,
			FormatPrepare:    tameMessage,
			FormatFieldValue: tamed,
		}
	}
	return &jsonLines{out: w, isJournal: isFile && isJournal(file)}
}

// isTerminal asks without File.Fd, which would make writes to the file impossible
// to interrupt.
func isTerminal(file *os.File) (is bool) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false
	}
	err = conn.Control(func(fd uintptr) { is = term.IsTerminal(int(fd)) })
	return is && err == nil
}

// outliveReaders has a log that nobody can read any more cost lines only. Go ends a
// program whose standard error is a pipe without a reader, unless it has said this.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// tameMessage makes a line's sentence harmless on a terminal. Other strings need no
// such thing: ConsoleWriter quotes them if there is anything but ASCII in them.
func tameMessage(line map[string]any) error {
	if text, ok := line[zerolog.MessageFieldName].(string); ok {
		line[zerolog.MessageFieldName] = tamed(text)
	}
	return nil
}

// tamed is a value as text that no terminal obeys. It is for lists and such, which
// ConsoleWriter doesn't quote.
func tamed(value any) string { return string(appendTamed(nil, fmt.Appendf(nil, "%s", value))) }

// jsonLines writes zerolog's lines as they are, but for what terminals would obey.
type jsonLines struct {
	out       io.Writer
	isJournal bool
	line      []byte
}

// Write writes one line with one Write.
func (j *jsonLines) Write(line []byte) (int, error) {
	j.line = j.line[:0]
	if j.isJournal {
		j.line = append(j.line, '<', priority(line), '>')
	}
	text, _ := bytes.CutSuffix(line, []byte("\n"))
	j.line = append(appendTamed(j.line, text), '\n')
	if _, err := j.out.Write(j.line); err != nil {
		return 0, err
	}
	return len(line), nil
}

// priority is the digit that syslog has for a line's level, which zerolog puts first.
func priority(line []byte) byte {
	rest, _ := bytes.CutPrefix(line, []byte(`{"`+zerolog.LevelFieldName+`":"`))
	level, _, _ := strings.Cut(string(rest[:min(len(rest), 8)]), `"`)
	switch level {
	case zerolog.LevelTraceValue, zerolog.LevelDebugValue:
		return '7'
	case zerolog.LevelWarnValue:
		return '4'
	case zerolog.LevelErrorValue:
		return '3'
	case zerolog.LevelFatalValue, zerolog.LevelPanicValue:
		return '2'
	default:
		return '6'
	}
}

// appendTamed appends text to line and escapes, in JSON's way, what is no printable
// character: peers choose names, and zerolog lets some through that move a
// terminal's cursor (DEL, C1 controls) or turn the line around (U+202E).
func appendTamed(line, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case unicode.IsPrint(r) && (r != utf8.RuneError || size > 1):
			line = append(line, text[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			line = fmt.Appendf(line, `\u%04x\u%04x`, high, low)
		default:
			line = fmt.Appendf(line, `\u%04x`, r)
		}
		text = text[size:]
	}
	return line
}
