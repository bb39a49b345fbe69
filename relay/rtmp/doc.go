// Package rtmp says what the bytes of an RTMP connection mean: handshake,
// chunks, messages, commands, and the two kinds of session the relay lives on,
// a client that publishes to us or plays from us, and an upstream that we publish
// to or play from.
//
// It starts no goroutine and logs nothing. Every call that touches the network
// blocks until it is done, its deadline passes or its context ends; a context
// that ends closes the connection.
//
// # The protocol on a page
//
// Section numbers are those of Adobe's RTMP specification 1.0; "E-RTMP" is
// Enhanced RTMP version 2.
//
//	handshake   C0 C1 →  ← S0 S1 S2  C2 →            1 + 1536 + 1536 bytes each way (§5.2)
//
//	chunk       basic header      1–3 bytes   fmt:2 | chunk stream id        (§5.3.1.1)
//	            message header    11/7/3/0    fmt 0: timestamp, length, type, message stream id
//	                                          fmt 1: delta, length, type     (§5.3.1.2)
//	                                          fmt 2: delta
//	                                          fmt 3: as before
//	            extended time     0 or 4      if the 24-bit time is 0xFFFFFF, in fmt 3 too (§5.3.1.3)
//	            data              up to the sender's chunk size, 128 until it says otherwise
//
//	message     1 Set Chunk Size · 2 Abort · 3 Acknowledgement · 4 User Control
//	            5 Window Acknowledgement Size · 6 Set Peer Bandwidth         (§5.4, §6.2)
//	            8 audio · 9 video · 18 data · 20 command · 22 aggregate
//	            15, 16, 17, 19: the AMF3 forms and shared objects            (§7.1)
//
//	publishing  connect →                     ← Window Ack Size, Set Peer Bandwidth,
//	                                            Set Chunk Size, _result
//	            releaseStream, FCPublish →    ← _result, onFCPublish
//	            createStream →                ← _result(1)
//	            publish(name, "live") →       ← StreamBegin, onStatus NetStream.Publish.Start
//	            @setDataFrame onMetaData, sequence headers, frames …
//	            FCUnpublish, deleteStream →     the goodbye
//
//	playing     connect, createStream → as above
//	            play(name, -2000) →           ← StreamBegin, onStatus NetStream.Play.Reset,
//	                                            NetStream.Play.Start, |RtmpSampleAccess
//	                                          ← onMetaData, sequence headers, frames …
//	            deleteStream →                  the player's goodbye, or the stream's end:
//	                                          ← NetStream.Play.UnpublishNotify, StreamEOF
//
// # Reading order
//
// Message, then Reader and Writer (bytes to messages and back), conn (what both
// kinds of session share), Accept and Session (the client's side), Dialer and
// Upstream (the node's side), play.go (playing, both), auth.go (clients that must log in). Message.Inspect and the FLV types stand apart.
//
// The handshake, the message encoders and AMF encoding come from go-rtmp.
// Chunks and AMF decoding are ours: both face bytes from anybody.
package rtmp
