package handover

import (
	"cmp"
	"errors"
	"fmt"

	"zegorelay/relay/rtmp"
)

// end is the sequence number that the next message will have.
func (b *Backlog) end() uint64 { return b.First + uint64(len(b.Entries)) }

func (b *Backlog) check() error {
	return wrap("backlog", cmp.Or(
		within("first message", b.First, 0, mostSeq),
		within("messages", len(b.Entries), 0, mostEntries),
		within("first start", b.Origin, 0, b.end()),
		within("what has arrived", b.Received, 0, b.end()),
		within("reasons of losses", max(len(b.Lost), len(b.InDoubt)), 0, mostLosses),
		headers("header", b.Base),
		b.checkEntries(),
	))
}

func (b *Backlog) checkEntries() error {
	if len(b.Entries) == 0 {
		return nil
	}
	if !b.Begun {
		return errors.New("it has messages and has not begun")
	}
	epoch := uint32(0)
	for i := range b.Entries {
		e := &b.Entries[i]
		if err := cmp.Or(e.check(), headers("opening", e.Opening), within("epoch", e.Epoch, epoch, b.Epoch)); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		epoch = e.Epoch
	}
	return within("newest epoch", epoch, b.Epoch, b.Epoch)
}

// headers checks those that a session begins with.
func headers(what string, all []Entry) error {
	if err := within(what, len(all), 0, mostHeaders); err != nil {
		return err
	}
	for i := range all {
		if all[i].Opening != nil {
			return fmt.Errorf("%s: it has headers of its own", what)
		}
		if err := all[i].check(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

func (e *Entry) check() error {
	if m := (rtmp.Message{Type: e.Type}); !m.IsMedia() {
		return fmt.Errorf("%s is no media", e.Type)
	}
	return cmp.Or(within("bytes", len(e.Payload), 0, mostMessage), ages("age", e.Age))
}

// check is for a reader of b.
func (r *Reader) check(b *Backlog) error {
	err := cmp.Or(
		within("next message", r.Next, 0, b.end()),
		headers("header", r.Given),
	)
	if err == nil && r.Begun {
		err = within("epoch", r.Epoch, 0, b.Epoch)
	}
	return wrap("reader", err)
}
