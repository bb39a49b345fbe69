package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// A state is magic, version (uint16) and records: the head, one for every stream, the
// end. A record is
//
//	kind      1 byte
//	length    uint32, of the body
//	length    again: where one is damaged, what comes behind it is still found
//	checksum  uint32, CRC-32C of kind and body
//	body      CBOR (RFC 8949): maps whose keys are the names of the fields
//
// with the most significant byte first. The version changes with what is said here, and
// with what State says that it can't do without.
const (
	magic   = "zegorelay state\n"
	version = 1

	kindHead   = 'P'
	kindStream = 'S'
	kindEnd    = 'E'

	recordHeader = 1 + 4 + 4 + 4
)

// head is what is not of one stream.
type head struct {
	At        Moment
	Process   Process
	Listeners []Listener
	Clients   []Client
	Streams   int // how many follow
}

var (
	errDamaged  = errors.New("its checksum is wrong")
	errCutShort = errors.New("it is not all there")
)

// putHeader fills the header of a record that has its body already.
func putHeader(record []byte, kind byte) error {
	body := record[recordHeader:]
	if uint64(len(body)) > math.MaxUint32 {
		return fmt.Errorf("%d bytes are too many for a record", len(body))
	}
	record[0] = kind
	binary.BigEndian.PutUint32(record[1:], uint32(len(body)))
	binary.BigEndian.PutUint32(record[5:], uint32(len(body)))
	binary.BigEndian.PutUint32(record[9:], checksum(kind, body))
	return nil
}

func checksum(kind byte, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte{kind}, table), table, body)
}

// records reads records one after the other. Nothing is copied.
type records struct{ left []byte }

// next returns the next record. Its error is errDamaged for one behind which the next
// is found, errCutShort where nothing more is.
func (r *records) next() (kind byte, body []byte, err error) {
	if len(r.left) < recordHeader {
		r.left = nil
		return 0, nil, errCutShort
	}
	header, rest := r.left[:recordHeader], r.left[recordHeader:]
	kind = header[0]
	length, again := binary.BigEndian.Uint32(header[1:]), binary.BigEndian.Uint32(header[5:])
	for _, n := range [...]uint32{length, again} {
		if uint64(n) > uint64(len(rest)) {
			continue
		}
		if body := rest[:n]; checksum(kind, body) == binary.BigEndian.Uint32(header[9:]) {
			r.left = rest[n:]
			return kind, body, nil
		}
	}
	if length != again || uint64(length) > uint64(len(rest)) {
		r.left = nil
		return 0, nil, errCutShort
	}
	r.left = rest[length:]
	return 0, nil, errDamaged
}
