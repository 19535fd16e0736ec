// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// podmanHandler answers as podman's service does.
func podmanHandler(played *containertest.Played) http.Handler {
	image := strings.TrimPrefix(containertest.PlayedImageID, "sha256:")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v4.0.0/libpod/containers/json", func(w http.ResponseWriter, r *http.Request) {
		all := []map[string]any{}
		for _, c := range played.All() {
			id, byID := asked(r)["id"]
			if byID && !strings.HasPrefix(c.ID, id[0]) || r.FormValue("all") != "true" && c.State != containertest.Running {
				continue
			}
			waitUnlocked(r, &c)
			all = append(all, map[string]any{
				"Id": c.ID, "Names": []string{c.Name}, "Image": c.Image, "ImageID": image, "Labels": c.Labels,
				"State": stateName(&c), "Pid": c.PID, "StartedAt": c.StartedAt.Unix(), "IsInfra": false,
			})
		}
		answerJSON(w, all)
	})
	mux.HandleFunc("GET /v4.0.0/libpod/containers/{id}/json", func(w http.ResponseWriter, r *http.Request) {
		for _, c := range played.All() {
			if !strings.HasPrefix(c.ID, r.PathValue("id")) && c.Name != r.PathValue("id") {
				continue
			}
			waitUnlocked(r, &c)
			answerJSON(w, map[string]any{
				"Id": c.ID, "Name": c.Name, "Image": image, "ImageName": c.Image, "ImageDigest": containertest.PlayedDigest,
				"State":  map[string]any{"Status": stateName(&c), "Pid": c.PID, "StartedAt": c.StartedAt.Add(time.Millisecond)},
				"Config": map[string]any{"Labels": c.Labels},
			})
			return
		}
		answerError(w, http.StatusNotFound, "no such container")
	})
	mux.HandleFunc("GET /v4.0.0/libpod/images/{id}/json", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != image {
			answerError(w, http.StatusNotFound, "no such image")
			return
		}
		answerJSON(w, map[string]any{"Id": image, "Digest": containertest.PlayedDigest})
	})
	mux.HandleFunc("GET /v4.0.0/libpod/events", func(w http.ResponseWriter, r *http.Request) {
		since, _ := time.Parse(time.RFC3339Nano, r.FormValue("since"))
		answerEvents(w, r, played, since, "died")
	})
	return mux
}

func TestPodmanContract(t *testing.T) {
	containertest.Runtime(t, containertest.Case{
		New: func(socket string) container.Runtime { return NewPodman(socket) },
		Neighbour: func(t testing.TB) containertest.Neighbour {
			n, _ := playHTTP(t, "podman", podmanHandler)
			return n
		},
		Wrong: wrongHTTP(),
	})
}

func TestPodmanStates(t *testing.T) {
	t.Parallel()
	s := servePlayed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/images/") {
			answerError(w, http.StatusNotFound, "no such image")
			return
		}
		_, _ = w.Write([]byte(`[
			{"Id": "` + first + `", "Names": ["going"], "State": "stopping", "Pid": 12, "StartedAt": 1795989161, "ImageID": "1234"},
			{"Id": "` + second + `", "Names": ["pod-infra"], "State": "running", "Pid": 13, "StartedAt": 1795989162, "IsInfra": true,
				"Pod": "` + third + `", "PodName": "pod", "Labels": {"io.kubernetes.pod.name": "no pod of Kubernetes"}},
			{"Id": "` + third + `", "Names": ["gone"], "State": "exited", "Pid": 0, "StartedAt": 1795989163}]`))
	}))
	p := NewPodman(s.socket)
	defer p.Close()
	all, err := p.List(within(t))
	if err != nil || !slices.Equal(ids(all), []string{first, second}) {
		t.Fatalf("got %+v, %v", all, err)
	}
	if got := all[0]; got.Name != "going" || got.PID != 12 || got.StartedAt.Unix() != 1795989161 || got.ImageDigest != "sha256:1234" {
		t.Errorf("got %+v", got)
	}
	if got := all[1]; got.ImageDigest != "" || !got.Pod.Sandbox || got.InPod() {
		t.Errorf("got %+v", got)
	}
}

func TestPodmanGet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer, want string
	}{
		{`"Image": "1234", "ImageDigest": "sha256:5678", "State": {"Status": "running", "Pid": 12, "StartedAt": "2026-11-29T21:57:41.569039807Z"}`,
			"sha256:5678 12 2026-11-29T21:57:41Z false"},
		{`"Image": "1234", "State": {"Status": "stopping", "Pid": 12}`, "sha256:1234 12 0001-01-01T00:00:00Z false"},
		{`"State": {"Status": "exited", "Pid": 0, "StartedAt": "2026-11-29T21:57:41.569039807Z"}, "IsInfra": true`, " 0 0001-01-01T00:00:00Z true"},
	} {
		s := servePlayed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"Id": "` + first + `", ` + c.answer + `}`))
		}))
		p := NewPodman(s.socket)
		defer p.Close()
		got, err := p.Get(within(t), first)
		if text := fmt.Sprint(got.ImageDigest, " ", got.PID, " ", got.StartedAt.UTC().Format(time.RFC3339), " ", got.Pod.Sandbox); err != nil || text != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.answer, text, err, c.want)
		}
		if _, err := p.Get(within(t), second); !errors.Is(err, container.ErrUnknown) {
			t.Errorf("%s: got %v for an answer about another container", c.answer, err)
		}
	}
}

// The recorded identity replaces that of a locked container, but never that of a container that runs or was created long
// ago.
func TestPodmanGetLate(t *testing.T) {
	t.Parallel()
	event := func(action string) string {
		return `{"Type": "container", "Action": "` + action + `", "Actor": {"ID": "` + first + `", "Attributes": {"name": "noted", "tier": "web"}}}`
	}
	for _, c := range []struct {
		what, events string
		noted        bool
	}{
		{"long ago", "", false},
		{"created", event("create"), true},
		{"running", event("create") + event("start"), false},
		{"ended", event("create") + event("start") + event("died"), true},
		{"restarted", event("create") + event("start") + event("died") + event("start"), false},
		{"removed", event("create") + event("start") + event("died") + event("remove"), false},
		{"old and ended", event("start") + event("died"), false},
		{"no events", "{", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := servePlayed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/events"):
					if since, err := time.Parse(time.RFC3339Nano, r.FormValue("since")); err != nil || time.Since(since) < podmanRecent {
						t.Errorf("asked for the events since %s", r.FormValue("since"))
					}
					_, _ = w.Write([]byte(c.events))
				default:
					select {
					case <-time.After(10 * podmanLate):
					case <-r.Context().Done():
					}
					_, _ = w.Write([]byte(`{"Id": "` + first + `", "Name": "late", "State": {"Status": "running", "Pid": 12}}`))
				}
			}))
			p := NewPodman(s.socket)
			defer p.Close()
			got, err := p.Get(within(t), first)
			if err != nil || got.ID != first {
				t.Fatalf("got %+v, %v", got, err)
			}
			if noted := got.Name == "noted"; noted != c.noted || noted == (got.PID == 12) || noted == (got.Labels["tier"] == "") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// podman says why it ends a stream of events, after it has already answered that there is no error.
func TestPodmanEndsStream(t *testing.T) {
	t.Parallel()
	s := servePlayed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]any{"cause": "it was cut", "message": "the file of events has half a line", "response": 500})
	}))
	p := NewPodman(s.socket)
	defer p.Close()
	err := p.Watch(within(t), func() {}, func(c container.Change) { t.Errorf("a change: %+v", c) })
	if err == nil || !strings.Contains(err.Error(), "half a line") {
		t.Errorf("Watch returned %v", err)
	}
}
