package rtmp

import "github.com/yutopp/go-rtmp/message"

// What a server tells its client unasked. All of these block until it is
// written, at most for the session's write timeout.

// Say sends a status on the session's stream (§7.2.2): level is "status",
// "warning" or "error".
func (s *Session) Say(level, code, description string) error {
	return s.c.send(s.status(level, code, description))
}

func (s *Session) status(level, code, description string) Message {
	return commandMessage(s.streamID, "onStatus", 0, nil, statusInfo{
		Level:       level,
		Code:        code,
		Description: description,
	})
}

// SayEOF says that the session's stream has ended (§7.1.7).
func (s *Session) SayEOF() error {
	eof := message.UserCtrlEventStreamEOF{StreamID: s.streamID}
	return s.c.send(controlMessage(&message.UserCtrl{Event: &eof}))
}

// reconnectInfo is the information object of E-RTMP's ReconnectRequest.
type reconnectInfo struct {
	Level string `amf0:"level"`
	Code  string `amf0:"code"`
	TCURL string `amf0:"tcUrl"`
}

// AskToReconnect asks the client to go on at another tcUrl (E-RTMP,
// ReconnectRequest). Until it does, the session goes on.
func (s *Session) AskToReconnect(tcURL string) error {
	return s.c.send(commandMessage(0, "onStatus", 0, nil, reconnectInfo{
		Level: "status",
		Code:  codeReconnectRequest,
		TCURL: tcURL,
	}))
}
