package zegosim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Scenario is a fault with a name, for those who plant it from outside.
type Scenario struct {
	Name string `json:"name"`
	Does string `json:"does"`

	begin func(s *Sim)
}

// well is the name of no fault.
const well = "well"

// Scenarios are all faults that can be planted by name. The first is none.
func Scenarios() []Scenario {
	all := []Scenario{
		{well, "ends every fault", func(*Sim) {}},
		{"api-down", "the API's port is closed", (*Sim).KillAPI},
		api("api-hangs", "the API never answers", Hang{}),
		api("api-drops", "the API closes connections without an answer", Drop{}),
		api("api-resets", "the API resets connections", Reset{}),
		api("http-500", "the API answers HTTP 500", AnswerHTTP{Status: http.StatusInternalServerError}),
		api("http-502", "the API answers HTTP 502 and HTML", AnswerHTTP{Status: http.StatusBadGateway, Body: "<html>Bad Gateway</html>"}),
		api("http-429", "the API answers HTTP 429, Retry-After 5", AnswerHTTP{Status: http.StatusTooManyRequests, RetryAfter: "5"}),
		api("html", "the API answers HTML", AnswerHTTP{Status: http.StatusOK, Body: "<html>Log in</html>"}),
		api("truncated", "the API's JSON breaks off", AnswerHTTP{Status: http.StatusOK, Body: `{"Code":0,"Data":["rt`}),
		api("empty", "the API answers nothing", AnswerHTTP{Status: http.StatusOK}),
		api("data-null", "the API answers Code 0 without nodes", AnswerData{Data: nil}),
		api("data-object", "the API's Data is an object", AnswerData{Data: map[string]string{}}),
		api("data-private", "the API names an address that no node may have", AnswerData{Data: []string{"rtmp://169.254.169.254/1/x"}}),
		api("dead-node-first", "the first node of every answer is dead", DeadNodeFirst{Addr: "127.0.0.1:1"}),
		{"nodes-down", "all nodes are dead", func(s *Sim) { each(s, (*Node).Kill) }},
		nodes("nodes-mute", "nodes take connections and say nothing", SilentHandshake),
		nodes("nodes-deaf", "nodes never answer a publish", SilentPublish),
		nodes("nodes-refuse", "nodes answer every publish with BadName", RefusePublish),
		nodes("nodes-reset", "nodes reset a session as soon as it has begun", ResetOnStart),
		nodes("nodes-close", "nodes close a session as soon as it has begun", CloseOnStart),
		nodes("nodes-blackholed", "packets to nodes vanish", Blackhole),
	}
	for _, code := range documented() {
		all = append(all, api(fmt.Sprintf("code-%d", code), fmt.Sprintf("the API answers %d, %s", code, meaning(code)), AnswerCode(code)))
	}
	return all
}

func api(name, does string, f APIFault) Scenario {
	return Scenario{name, does, func(s *Sim) { s.SetAPIFault(f) }}
}

func nodes(name, does string, f NodeFault) Scenario {
	return Scenario{name, does, func(s *Sim) {
		each(s, func(n *Node) { n.SetFault(f) })
	}}
}

func each(s *Sim, f func(*Node)) {
	for _, n := range s.nodes {
		f(n)
	}
}

// Plant begins a scenario in place of the one that lasts.
func (s *Sim) Plant(name string) error {
	for _, sc := range Scenarios() {
		if sc.Name == name {
			if err := s.heal(); err != nil {
				return err
			}
			sc.begin(s)
			return nil
		}
	}
	return fmt.Errorf("zegosim: no fault is called %q", name)
}

// heal ends every fault.
func (s *Sim) heal() error {
	s.SetAPIFault(nil)
	for _, n := range s.nodes {
		n.SetFault(Healthy)
		if err := n.Revive(); err != nil {
			return err
		}
	}
	return s.ReviveAPI()
}

// plant serves POST /_emu/fault?name=NAME. An API that is taken down by it can't
// be brought back by it.
func (g *gateway) plant(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" || name == "api-down" {
		http.Error(w, "name a fault of GET /_emu/faults; api-down can't be planted from here: nothing would be left to end it", http.StatusBadRequest)
		return
	}
	if err := g.sim.Plant(name); err != nil { //nolint:contextcheck // what nodes serve outlives the call
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"planted": name})
}
