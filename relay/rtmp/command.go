package rtmp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/yutopp/go-rtmp/message"
)

// command is a decoded command message (§7.1.1): a name, a transaction and
// arguments, of which the first is by custom the command object.
type command struct {
	name        string
	transaction float64
	args        []any
}

// parseCommand decodes an AMF0 or AMF3-typed command message. The AMF3 type
// carries AMF0 values behind a zero byte.
func parseCommand(m Message, limits Limits) (command, error) {
	body := m.Payload
	if m.Type == TypeCommandAMF3 && len(body) > 0 && body[0] == 0 {
		body = body[1:]
	}
	values, err := decodeAMF0(body, limits)
	// Encoders pad commands with values that only Flash could read. What comes
	// before those is enough; a peer that goes over a limit is not forgiven.
	if errors.Is(err, ErrTooBig) || err != nil && len(values) < 2 {
		return command{}, fmt.Errorf("command: %w", err)
	}
	var c command
	if len(values) > 0 {
		c.name, _ = values[0].(string)
	}
	if c.name == "" {
		return command{}, protocolErrorf("a command without a name")
	}
	if len(values) > 1 {
		c.transaction, _ = values[1].(float64)
		c.args = values[2:]
	}
	return c, nil
}

// object returns argument i as an object, an empty one if it is none.
func (c command) object(i int) object {
	if o, ok := c.arg(i).(object); ok {
		return o
	}
	return object{}
}

// string returns argument i as a string, "" if it is none.
func (c command) string(i int) string {
	s, _ := c.arg(i).(string)
	return s
}

// arg returns argument i, nil if there is none.
func (c command) arg(i int) any {
	if i < len(c.args) {
		return c.args[i]
	}
	return nil
}

// number returns argument i as a number.
func (c command) number(i int) (n float64, ok bool) {
	n, ok = c.arg(i).(float64)
	return n, ok
}

func (o object) string(key string) string {
	s, _ := o[key].(string)
	return s
}

// status reads onStatus and _error: both carry an information object as their
// second argument, some servers as their first.
func (c command) status() StatusError {
	info := c.object(1)
	if len(info) == 0 {
		info = c.object(0)
	}
	code := info.string("code")
	if code == "" {
		code = "no code"
	}
	return StatusError{
		Code:        printable(code),
		Description: printable(info.string("description")),
		elsewhere:   elsewhere(code, info),
	}
}

// elsewhere is the tcUrl that an information object sends a client to: that of
// E-RTMP's ReconnectRequest, where none means the one that the client came by,
// or of a refused connect with the code 302.
func elsewhere(code string, info object) secretURL {
	if code == codeReconnectRequest {
		tcURL := info.string("tcUrl")
		return func() string { return tcURL }
	}
	ex, _ := info["ex"].(object)
	if redirect := ex.string("redirect"); redirect != "" {
		return func() string { return redirect }
	}
	return nil
}

// commandMessage encodes a command in AMF0 through go-rtmp. Arguments are
// numbers, bools, strings, nil, and structs with amf0 tags for objects, which
// keep the order of their fields. It panics on anything else: what we send is
// ours.
func commandMessage(streamID uint32, name string, transaction float64, args ...any) Message {
	var body, whole bytes.Buffer
	enc := message.NewAMFEncoder(&body, message.EncodingTypeAMF0)
	for _, arg := range args {
		if err := enc.Encode(arg); err != nil {
			panic(fmt.Sprintf("rtmp: encode %s: %v", name, err))
		}
	}
	must(message.NewEncoder(&whole).Encode(&message.CommandMessage{
		CommandName:   name,
		TransactionID: int64(transaction),
		Encoding:      message.EncodingTypeAMF0,
		Body:          &body,
	}))
	return Message{Type: TypeCommand, StreamID: streamID, Payload: whole.Bytes()}
}

// controlMessage encodes one of the types 3 to 6 through go-rtmp.
func controlMessage(m message.Message) Message {
	var b bytes.Buffer
	must(message.NewEncoder(&b).Encode(m))
	return Message{Type: Type(m.TypeID()), Payload: b.Bytes()}
}

// must is for encoding our own values into memory, which can't fail.
func must(err error) {
	if err != nil {
		panic("rtmp: " + err.Error())
	}
}
