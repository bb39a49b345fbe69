package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// problem is an answer that says why there is no other.
type problem struct {
	status  int
	code    string // a word for machines
	message string // a sentence that says what to do
}

type problemView struct {
	Error problemWords `json:"error"`
}

type problemWords struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (p *problem) write(w http.ResponseWriter) {
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="zegorelay", charset="UTF-8"`)
	}
	writeJSON(w, p.status, problemView{problemWords{p.code, p.message}})
}

// writeJSON answers with v, whole or not at all.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // nosniff keeps it from being HTML
	if err := encoder.Encode(v); err != nil {
		http.Error(w, "the answer can't be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
