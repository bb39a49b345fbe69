package rtmp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// The digest handshake is not in the specification: Flash players from 9.0.124
// on sign C1 with a key that every implementation knows by now, and those that
// copy them want S1 and S2 signed in return.
//
//	C1, S1   1536 bytes: time, version, random; somewhere in the random part
//	         4 bytes whose sum says where 32 bytes hold the HMAC-SHA256 of the
//	         other 1504. Two layouts: the 4 bytes at 8, or at 772.
//	S2       1504 random bytes and their HMAC, under a key that is the HMAC of
//	         C1's digest

const (
	packetBytes = 1536 // C1, S1, C2 and S2
	digestBytes = sha256.Size

	playerName = "Genuine Adobe Flash Player 001"
	serverName = "Genuine Adobe Flash Media Server 001"
	secretTail = "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57" +
		"\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae"
)

// serverVersion is in S1: from 3.0 on clients expect a digest.
const serverVersion = 0x03050101

// digestLayouts are where the position of the digest is told.
func digestLayouts() [2]int { return [2]int{8, 772} }

// digestAt is the position of the digest by the layout that tells it at base.
func digestAt(packet []byte, base int) int {
	sum := 0
	for _, b := range packet[base : base+4] {
		sum += int(b)
	}
	return base + 4 + sum%728
}

// sign is the HMAC of packet without the digest at the position at.
func sign(packet []byte, at int, key string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(packet[:at])
	mac.Write(packet[at+digestBytes:])
	return mac.Sum(nil)
}

// findDigest returns the digest in a C1 and the layout that it follows; nil if
// the client does the simple handshake.
func findDigest(c1 []byte) (digest []byte, base int) {
	if binary.BigEndian.Uint32(c1[4:]) == 0 {
		return nil, 0 // the specification's zero field
	}
	for _, base := range digestLayouts() {
		at := digestAt(c1, base)
		digest := c1[at : at+digestBytes]
		if hmac.Equal(digest, sign(c1, at, playerName)) {
			return digest, base
		}
	}
	return nil, 0
}

// answerDigest is S0, S1 and S2 for a client whose C1 has this digest.
func answerDigest(digest []byte, base int) []byte {
	answer := make([]byte, 1+2*packetBytes)
	_, _ = rand.Read(answer) // never fails
	answer[0] = 3
	s1, s2 := answer[1:1+packetBytes], answer[1+packetBytes:]

	binary.BigEndian.PutUint32(s1, 0)
	binary.BigEndian.PutUint32(s1[4:], serverVersion)
	at := digestAt(s1, base)
	copy(s1[at:], sign(s1, at, serverName))

	key := hmac.New(sha256.New, []byte(serverName+secretTail))
	key.Write(digest)
	at = packetBytes - digestBytes
	copy(s2[at:], sign(s2, at, string(key.Sum(nil))))
	return slices.Clip(answer)
}
