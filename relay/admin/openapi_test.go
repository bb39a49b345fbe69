package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// description is openapi.yaml, and which of its properties an answer has had.
type description struct {
	t    *testing.T
	root map[string]any
	seen map[string]bool // by path in the description
}

func describe(t *testing.T) *description {
	t.Helper()
	d := &description{t: t, seen: map[string]bool{}}
	must(t, yaml.Unmarshal(openAPI, &d.root))
	return d
}

// at follows a path of keys, through references but for the last.
func (d *description) at(path ...string) map[string]any {
	node := d.root
	for _, key := range path {
		node, _ = d.follow(node, "")
		next, ok := node[key].(map[string]any)
		if !ok {
			d.t.Errorf("openapi.yaml has no %s", strings.Join(path, " > "))
			return nil
		}
		node = next
	}
	return node
}

// follow is what a reference means, and the path of that.
func (d *description) follow(node map[string]any, path string) (map[string]any, string) {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node, path
	}
	return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), ref
}

// check holds a value against a schema: everything that is described is there, and
// nothing else.
func (d *description) check(schema map[string]any, path string, v any) {
	schema, path = d.follow(schema, path)
	types, ok := schema["type"].([]any)
	if !ok {
		types = []any{schema["type"]}
	}
	kind := kindOf(v)
	if !slices.Contains(types, any(kind)) && (kind != "integer" || !slices.Contains(types, any("number"))) {
		d.t.Errorf("%s: got %s, described as %v", path, kind, types)
		return
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		d.t.Errorf("%s: got %v, described as one of %v", path, v, enum)
	}
	switch v := v.(type) {
	case string:
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, v); err != nil || !strings.HasSuffix(v, "Z") {
				d.t.Errorf("%s: got %s, want RFC 3339 in UTC", path, v)
			}
		}
	case []any:
		for _, item := range v {
			d.check(schema["items"].(map[string]any), path+"[]", item)
		}
	case map[string]any:
		d.checkObject(schema, path, v)
	}
	if v != nil {
		d.seen[path] = true
	}
}

func (d *description) checkObject(schema map[string]any, path string, v map[string]any) {
	if any, ok := schema["additionalProperties"].(map[string]any); ok {
		for _, value := range v {
			d.check(any, path+"{}", value)
		}
		return
	}
	properties := schema["properties"].(map[string]any)
	for name := range properties {
		if _, ok := v[name]; !ok {
			d.t.Errorf("%s.%s is described and not there", path, name)
		}
	}
	for name, value := range v {
		property, ok := properties[name].(map[string]any)
		if !ok {
			d.t.Errorf("%s.%s is there and not described", path, name)
			continue
		}
		d.check(property, path+"."+name, value)
		if value != nil {
			d.seen[path+"."+name] = true // also if its own path is a reference's
		}
	}
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "integer"
		}
		return "number"
	default:
		return "object"
	}
}

// checkAnswer holds a body against what is described for a status of an operation.
func (d *description) checkAnswer(method, path string, status int, body string) {
	d.t.Helper()
	schema := d.at("paths", path, strings.ToLower(method), "responses", fmt.Sprint(status), "content", "application/json", "schema")
	if schema == nil {
		return
	}
	d.checkJSON(schema, body)
}

func (d *description) checkJSON(schema map[string]any, body string) {
	d.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var v any
	must(d.t, decoder.Decode(&v))
	d.check(schema, "#", v)
}

// unseen are the properties below a schema that no answer had.
func (d *description) unseen(schema map[string]any, path string) []string {
	if _, ok := schema["$ref"]; ok {
		return nil // has its own place
	}
	var names []string
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		here := path + "." + name
		if !d.seen[here] {
			names = append(names, here)
		}
		names = append(names, d.unseen(property.(map[string]any), here)...)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		names = append(names, d.unseen(items, path+"[]")...)
	}
	return names
}

func TestTheAPIIsAsDescribed(t *testing.T) {
	d := describe(t)
	h := testServer(newFake()).handler(loopback())
	auth := []string{"Authorization", bearer, "Content-Type", asJSON}
	for _, tc := range []struct {
		method, path, target string
		head                 []string
		want                 int
	}{
		{"GET", "/api/v1/info", "/api/v1/info", nil, 200},
		{"GET", "/api/v1/streams", "/api/v1/streams", nil, 200},
		{"GET", "/api/v1/streams/{name}", "/api/v1/streams/cam1", nil, 200},
		{"GET", "/api/v1/streams/{name}", "/api/v1/streams/both?direction=pull", nil, 200},
		{"GET", "/api/v1/streams/{name}", "/api/v1/streams/both", nil, 409},
		{"GET", "/api/v1/streams/{name}", "/api/v1/streams/none", nil, 404},
		{"GET", "/api/v1/streams/{name}", "/api/v1/streams/cam1?direction=pull", nil, 404},
		{"GET", "/api/v1/streams/{name}", "/api/v1/streams/cam1?direction=up", nil, 400},
		{"GET", "/preview/{file}", "/preview/none.flv", nil, 404},
		{"GET", "/preview/{file}", "/preview/cam1", nil, 404},
		{"GET", "/preview/{file}", "/preview/gone.flv", nil, 404},
		{"GET", "/assets/{name}", "/assets/none.js", nil, 404},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/cam1/kick", auth, 200},
		{"POST", "/api/v1/streams/{name}/redispatch", "/api/v1/streams/both/redispatch?direction=pull", auth, 200},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/both/kick", auth, 409},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/draining/kick", auth, 409},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/gone/kick", auth, 404},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/none/kick", auth, 404},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/cam1/kick?direction=x", auth, 400},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/cam1/kick", auth[2:], 401},
		{"POST", "/api/v1/streams/{name}/kick", "/api/v1/streams/cam1/kick", auth[:2], 415},
	} {
		w := ask(h, tc.method, tc.target, tc.head...)
		if w.Code != tc.want {
			t.Errorf("%s %s: got %d, want %d: %s", tc.method, tc.target, w.Code, tc.want, w.Body)
			continue
		}
		d.checkAnswer(tc.method, tc.path, tc.want, w.Body.String())
	}
	schemas := d.at("components", "schemas")
	for name, schema := range schemas {
		if unseen := d.unseen(schema.(map[string]any), "#/components/schemas/"+name); len(unseen) > 0 {
			t.Errorf("described, and in no answer: %s", unseen)
		}
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	d := describe(t)
	described := map[string]bool{}
	for path, operations := range d.at("paths") {
		for method := range operations.(map[string]any) {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	s := testServer(newFake())
	for _, r := range s.routes(newAccess(loopback(), "")) {
		pattern := strings.Replace(r.pattern, "{$}", "", 1)
		if !described[pattern] {
			t.Errorf("%s is served and not described", pattern)
		}
		delete(described, pattern)
	}
	for pattern := range described {
		t.Errorf("%s is described and not served", pattern)
	}
}

func TestTheShapeThatOperatorsKnow(t *testing.T) {
	h := testServer(newFake()).handler(loopback())
	body := ask(h, "GET", "/api/v1/streams/cam1").Body.String()
	for _, want := range []string{
		`"name":"cam1","app":"live","streamId":"venue-cam1","direction":"push","health":"down","reason":"ZEGO has no node"`,
		`"since":"2026-11-27T11:00:00.123Z"`,
		`"publisher":{"id":7,"remote":"10.0.0.5:51312","since":"2026-11-27T11:00:00.123Z","client":"FMLE/3.0","secure":true}`,
		`"upstream":{"state":"waiting","node":"81.69.49.115:1935","since":"`,
		`"attempt":4,"nextTryInMs":35`, `"stage":"dispatch","code":"1002","text":"no push node"`,
		`"codec":"h264"`, `"width":1920,"height":1080,"fps":25,"keyframeIntervalMs":2000`, `"sampleRate":48000,"channels":2`,
		`"rate":{"inKbps":4012,"outKbps":4010}`, `"bytes":{"in":1000,"out":900,`,
		`"dropped":{"messages":60,"ms":2000}`, `"queueMs":12`, `"reconnects":{"publisher":2,"upstream":2}`,
		`"outageMs":1800`, `"players":2`, `"rttMs":5.6`, `"lagMs":34`, `"replayed":5`, `"avSkewMs":-20`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	list := ask(h, "GET", "/api/v1/streams").Body.String()
	if !strings.Contains(list, `"itemCount":6,"items":[{"name":"both","app":"live","streamId":"venue-both","direction":"pull"`) {
		t.Errorf("got %s", list)
	}
}
