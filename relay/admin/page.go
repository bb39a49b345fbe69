package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

// indexFile is what is served as /.
const indexFile = "index.html"

//go:embed page
var pageFS embed.FS

// file is one of the page's.
type file struct {
	body, mediaType, tag string
}

// pageFiles reads the page: index.html, and what it loads from /assets/.
func pageFiles() map[string]file {
	files := make(map[string]file)
	entries, err := fs.ReadDir(pageFS, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, entry := range entries {
		body, err := pageFS.ReadFile("page/" + entry.Name())
		if err != nil {
			continue // a folder
		}
		hash := sha256.Sum256(body)
		files[entry.Name()] = file{string(body), mediaTypeOf(entry.Name()), `"` + hex.EncodeToString(hash[:8]) + `"`}
	}
	return files
}

// mediaTypeOf doesn't ask the machine for what a page is made of: with nosniff a script
// of the wrong type doesn't run, and machines have odd tables.
func mediaTypeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".webmanifest":
		return "application/manifest+json"
	case ".md", ".txt", "":
		return "text/plain; charset=utf-8"
	}
	if known := mime.TypeByExtension(path.Ext(name)); known != "" {
		return known
	}
	return "application/octet-stream"
}

func (s *Server) index(w http.ResponseWriter, r *http.Request) { s.send(w, r, indexFile) }

func (s *Server) asset(w http.ResponseWriter, r *http.Request) { s.send(w, r, r.PathValue("name")) }

// send answers with a file, which a browser may keep as long as it asks whether it is
// still the same: the page must not be older than the program.
func (s *Server) send(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := s.page[name]
	if !ok {
		(&problem{http.StatusNotFound, "not_found", "the page has no such file"}).write(w)
		return
	}
	w.Header().Set("Content-Type", f.mediaType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(f.body)))
}
