package rtmp

import (
	"encoding/binary"
	"math"
)

// object is an AMF0 object or ECMA array. Its order is lost, which is why data
// messages are never decoded on their way through.
type object map[string]any

// AMF0 type markers (AMF0 specification, §2.1).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfReference   = 0x07
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0A
	amfDate        = 0x0B
	amfLongString  = 0x0C
	amfUnsupported = 0x0D
	amfXML         = 0x0F
	amfTypedObject = 0x10
)

// amfReader decodes AMF0 values from bytes of a peer. Depth, number of values
// and every length are held against what is there before they are believed.
// The first error sticks.
type amfReader struct {
	limits Limits
	rest   []byte
	values int
	err    error
}

// decodeAMF0 decodes all values in p: float64, bool, string, nil (for null,
// undefined, unsupported and references), object and []any. A date becomes its
// milliseconds.
func decodeAMF0(p []byte, limits Limits) ([]any, error) {
	r := amfReader{limits: limits, rest: p}
	var values []any
	for len(r.rest) > 0 && r.err == nil {
		values = append(values, r.value(0))
	}
	return values, r.err
}

func (r *amfReader) value(depth int) any {
	r.values++
	switch {
	case r.values > r.limits.AMFValues:
		r.fail(limitErrorf("more than %d AMF values in a message", r.limits.AMFValues))
		return nil
	case depth > r.limits.AMFDepth:
		r.fail(limitErrorf("AMF nested deeper than %d", r.limits.AMFDepth))
		return nil
	}
	switch marker := r.byte(); marker {
	case amfNumber:
		return r.number()
	case amfBoolean:
		return r.byte() != 0
	case amfString:
		return string(r.take(r.length16()))
	case amfLongString, amfXML:
		return string(r.take(r.length32()))
	case amfNull, amfUndefined, amfUnsupported:
		return nil
	case amfReference:
		r.take(2)
		return nil
	case amfObject:
		return r.object(depth)
	case amfECMAArray:
		r.take(4) // an approximate count, which nobody keeps
		return r.object(depth)
	case amfTypedObject:
		r.take(r.length16()) // the class name: no type is made by a peer's word
		return r.object(depth)
	case amfStrictArray:
		return r.array(depth)
	case amfDate:
		ms := r.number()
		r.take(2) // time zone, reserved
		return ms
	default:
		r.fail(protocolErrorf("AMF marker 0x%02x", marker))
		return nil
	}
}

func (r *amfReader) object(depth int) object {
	o := object{}
	for r.err == nil {
		key := string(r.take(r.length16()))
		if key == "" && len(r.rest) > 0 && r.rest[0] == amfObjectEnd {
			r.take(1)
			return o
		}
		if r.err == nil {
			o[key] = r.value(depth + 1)
		}
	}
	return o
}

func (r *amfReader) array(depth int) []any {
	n := r.length32()
	if n > len(r.rest) { // every value takes a byte at the least
		r.fail(protocolErrorf("AMF array of %d values in %d bytes", n, len(r.rest)))
		return nil
	}
	var values []any
	for range n {
		values = append(values, r.value(depth+1))
		if r.err != nil {
			return nil
		}
	}
	return values
}

func (r *amfReader) number() float64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b))
}

func (r *amfReader) byte() byte {
	b := r.take(1)
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

func (r *amfReader) length16() int {
	b := r.take(2)
	if len(b) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

func (r *amfReader) length32() int {
	b := r.take(4)
	if len(b) < 4 {
		return 0
	}
	return int(binary.BigEndian.Uint32(b) & math.MaxInt32)
}

// take returns the next n bytes, or nil after noting that they are missing.
func (r *amfReader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.rest) {
		r.fail(protocolErrorf("AMF value of %d bytes with %d left", n, len(r.rest)))
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *amfReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
