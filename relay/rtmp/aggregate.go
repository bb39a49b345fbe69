package rtmp

// Headers of the messages inside an aggregate: those of FLV tags (§7.1.6).
const (
	partHeader = 11
	partFooter = 4 // the part's length again
)

// splitAggregate takes an aggregate message apart. The parts' times are
// relative to each other; the first one is at the aggregate's time. The parts
// share the aggregate's memory.
func splitAggregate(m Message) ([]Message, error) {
	var parts []Message
	var shift uint32
	for rest := m.Payload; len(rest) > 0; {
		if len(rest) < partHeader {
			return nil, protocolErrorf("an aggregate with %d bytes behind its last message", len(rest))
		}
		size := int(uint24(rest[1:]))
		time := uint24(rest[4:]) | uint32(rest[7])<<24
		if len(rest) < partHeader+size {
			return nil, protocolErrorf("a message of %d bytes in an aggregate with %d left", size, len(rest)-partHeader)
		}
		if len(parts) == 0 {
			shift = m.Timestamp - time
		}
		parts = append(parts, Message{
			Type:      Type(rest[0]),
			Timestamp: time + shift,
			StreamID:  m.StreamID,
			Payload:   rest[partHeader : partHeader+size : partHeader+size],
		})
		rest = rest[partHeader+size:]
		rest = rest[min(len(rest), partFooter):] // the last footer is left out by some
	}
	return parts, nil
}
