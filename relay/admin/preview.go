package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"zegorelay/relay"
)

const maxPreviews = 8

// preview is /preview/NAME.flv: the stream itself, for the page's player.
type preview struct {
	relay  Relay
	places chan struct{}
}

func newPreview(r Relay) *preview {
	return &preview{relay: r, places: make(chan struct{}, maxPreviews)}
}

func (p *preview) serve(w http.ResponseWriter, r *http.Request) {
	name, isFLV := strings.CutSuffix(r.PathValue("file"), ".flv")
	if !isFLV {
		noStream().write(w)
		return
	}
	st, refusal := find(p.relay, name, r.URL.Query().Get("direction"))
	if refusal != nil {
		refusal.write(w)
		return
	}
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		(&problem{http.StatusServiceUnavailable, "busy",
			fmt.Sprintf("%d previews are the most: close another one", maxPreviews)}).write(w)
		return
	}
	w.Header().Set("Content-Type", "video/x-flv")
	if r.Method == http.MethodHead {
		return
	}
	out := newRolling(w)
	err := p.relay.WriteFLV(r.Context(), st.Name, st.Direction, out)
	if errors.Is(err, relay.ErrNoStream) && !out.begun {
		noStream().write(w) // it has ended in between
	}
}

// rolling is an answer without an end: what was written is on its way when Write returns,
// and who takes nothing of it for the write timeout is left.
type rolling struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func newRolling(w http.ResponseWriter) *rolling {
	out := &rolling{w: w, control: http.NewResponseController(w)}
	// The request is read; its deadline would end the answer. Who doesn't know
	// deadlines is a test's recorder.
	_ = out.control.SetReadDeadline(time.Time{})
	return out
}

// Write writes b whole.
func (o *rolling) Write(b []byte) (int, error) {
	o.begun = true
	_ = o.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := o.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, o.control.Flush()
}
