// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// dockerHandler answers as dockerd does.
func dockerHandler(played *containertest.Played) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, r *http.Request) {
		all := []map[string]any{}
		for _, c := range played.All() {
			id, byID := asked(r)["id"]
			if byID && !strings.HasPrefix(c.ID, id[0]) || r.FormValue("all") != "true" && c.PID == 0 {
				continue
			}
			all = append(all, map[string]any{
				"Id": c.ID, "Names": []string{"/other/alias", "/" + c.Name}, "Image": c.Image, "ImageID": containertest.PlayedImageID,
				"Labels": c.Labels, "State": stateName(&c), "Created": 1,
			})
		}
		answerJSON(w, all)
	})
	mux.HandleFunc("GET /containers/{id}/json", func(w http.ResponseWriter, r *http.Request) {
		for _, c := range played.All() {
			if c.ID != r.PathValue("id") {
				continue
			}
			waitUnlocked(r, &c)
			answerJSON(w, map[string]any{"Id": c.ID, "State": map[string]any{
				"Pid": c.PID, "StartedAt": c.StartedAt.UTC().Format(time.RFC3339Nano),
			}})
			return
		}
		answerError(w, http.StatusNotFound, "No such container")
	})
	mux.HandleFunc("GET /images/{id}/json", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != containertest.PlayedImageID {
			answerError(w, http.StatusNotFound, "No such image")
			return
		}
		answerJSON(w, map[string]any{"Id": containertest.PlayedImageID, "RepoDigests": []string{
			"elsewhere/busy@sha256:0000", "example.org/team/busy@" + containertest.PlayedDigest,
		}})
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		whole, part, _ := strings.Cut(r.FormValue("since"), ".")
		seconds, _ := strconv.ParseInt(whole, 10, 64)
		nanoseconds, _ := strconv.ParseInt(part, 10, 64)
		answerEvents(w, r, played, time.Unix(seconds, nanoseconds), "die")
	})
	return mux
}

func playDocker(t testing.TB) containertest.Neighbour {
	n, _ := playHTTP(t, "docker", dockerHandler)
	return n
}

func TestDockerContract(t *testing.T) {
	containertest.Runtime(t, containertest.Case{
		New:       func(socket string) container.Runtime { return NewDocker(socket) },
		Neighbour: playDocker,
		Wrong:     wrongHTTP(),
	})
}

// serveDocker starts a server that answers with texts by their paths, and returns a client of it.
func serveDocker(t *testing.T, answers map[string]string) *Docker {
	t.Helper()
	s := servePlayed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.Path]
		if text == "hang" {
			<-r.Context().Done()
			return
		}
		if !ok {
			answerError(w, http.StatusNotFound, "not here")
			return
		}
		if status, err := strconv.Atoi(text); err == nil {
			answerError(w, status, "cannot")
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	d := NewDocker(s.socket)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

const (
	first  = "1111111111111111111111111111111111111111111111111111111111111111"
	second = "2222222222222222222222222222222222222222222222222222222222222222"
	third  = "3333333333333333333333333333333333333333333333333333333333333333"
)

// Wrong or missing details of one container do not affect the others.
func TestDockerListWithoutDetails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, details string
		listed        bool
	}{
		{"it is locked", "hang", true},
		{"dockerd fails", "500", true},
		{"it has ended", `{"State": {"Pid": 0, "StartedAt": "2026-01-02T03:04:05.000000006Z"}}`, false},
		{"it is gone", "404", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			d := serveDocker(t, map[string]string{
				"/containers/json": `[
					{"Id": "` + first + `", "Names": ["/one"], "Image": "busy", "ImageID": "sha256:1234", "State": "running"},
					{"Id": "` + second + `", "Names": ["/two"], "Image": "busy", "ImageID": "sha256:1234", "State": "running"},
					{"Id": "` + third + `", "Names": ["/three"], "State": "restarting"}]`,
				"/containers/" + first + "/json":  c.details,
				"/containers/" + second + "/json": `{"State": {"Pid": 12, "StartedAt": "2026-01-02T03:04:05.000000006Z"}}`,
			})
			all, err := d.List(within(t))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{second}
			if c.listed {
				want = []string{first, second}
			}
			if !slices.Equal(ids(all), want) {
				t.Fatalf("got %v, want %v", ids(all), want)
			}
			if last := all[len(all)-1]; last.PID != 12 || !last.StartedAt.Equal(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)) {
				t.Errorf("got %+v", last)
			}
			if c.listed && (all[0].PID != 0 || !all[0].StartedAt.IsZero() || all[0].Name != "one") {
				t.Errorf("got %+v", all[0])
			}
		})
	}
}

func TestDockerDigest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ image, answer, want string }{
		{"nginx:1.27", `{"RepoDigests": ["other@sha256:1", "nginx@sha256:2"]}`, "sha256:2"},
		{"nginx", `{"RepoDigests": ["other@sha256:1", "nginx@sha256:2"]}`, "sha256:2"},
		{"localhost:5000/a/b:tag", `{"RepoDigests": ["b@sha256:1", "localhost:5000/a/b@sha256:2"]}`, "sha256:2"},
		{"localhost:5000/a/b", `{"RepoDigests": ["localhost@sha256:1", "localhost:5000/a/b@sha256:2"]}`, "sha256:2"},
		{"docker.io/library/nginx", `{"RepoDigests": ["nginx@sha256:2"]}`, "sha256:2"}, // the only one
		{"sha256:1234", `{"RepoDigests": ["nginx@sha256:2"]}`, "sha256:2"},             // its name was given to another image
		{"nginx@sha256:3", `{"RepoDigests": ["nginx@sha256:2"]}`, "sha256:3"},          // as the user named it
		{"local", `{"RepoDigests": []}`, "sha256:1234"},                                // in no registry
		{"local", `{"RepoDigests": ["odd"]}`, "sha256:1234"},
		{"removed", "404", "sha256:1234"},
	} {
		d := serveDocker(t, map[string]string{
			"/containers/json":               `[{"Id": "` + first + `", "Image": "` + c.image + `", "ImageID": "sha256:1234", "State": "running"}]`,
			"/containers/" + first + "/json": `{"State": {"Pid": 12}}`,
			"/images/sha256:1234/json":       c.answer,
		})
		all, err := d.List(within(t))
		if err != nil || len(all) != 1 || all[0].ImageDigest != c.want {
			t.Errorf("%s, %s: got %+v, %v; want %s", c.image, c.answer, all, err, c.want)
		}
	}
}

// The labels are those that cri-dockerd gives to the containers of pods.
func TestDockerPod(t *testing.T) {
	t.Parallel()
	const pod = `"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "7-8-9"`
	sandbox := `{"Id": "` + first + `", "Names": ["/k8s_POD_web-0_shop_7-8-9_0"], "State": "running", "Labels": {` + pod + `,
		"io.kubernetes.container.name": "POD", "io.kubernetes.docker.type": "podsandbox", "app": "web", "annotation.note": "x"}}`
	inPod := `{"Id": "` + second + `", "Names": ["/k8s_main_web-0_shop_7-8-9_0"], "State": "running", "Labels": {` + pod + `,
		"io.kubernetes.container.name": "main", "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": "` + first + `"}}`
	d := serveDocker(t, map[string]string{
		"/containers/json":                `[` + inPod + `,` + sandbox + `]`,
		"/containers/" + first + "/json":  `{"State": {"Pid": 11}}`,
		"/containers/" + second + "/json": `{"State": {"Pid": 12}}`,
	})
	all, err := d.List(within(t))
	if err != nil || len(all) != 2 {
		t.Fatalf("got %+v, %v", all, err)
	}
	one, err := d.Get(within(t), second)
	if err != nil {
		t.Fatal(err)
	}
	check := func(id container.Identity, name, inPod string, isSandbox bool) {
		t.Helper()
		p := id.Pod
		if id.Name != name || p.Name != "web-0" || p.Namespace != "shop" || p.UID != "7-8-9" || p.Container != inPod || p.Sandbox != isSandbox {
			t.Errorf("got %+v", id)
		}
		if len(p.Labels) != 1 || p.Labels["app"] != "web" {
			t.Errorf("the pod's labels are %v", p.Labels)
		}
	}
	check(all[0], "k8s_main_web-0_shop_7-8-9_0", "main", false)
	check(one, "k8s_main_web-0_shop_7-8-9_0", "main", false)
	check(all[1], "k8s_POD_web-0_shop_7-8-9_0", "", true)
}

// dockerd sends an event twice if it stored the event and has just sent it. Two different events may be of the same kind.
func TestDockerWatchOnce(t *testing.T) {
	t.Parallel()
	event := func(id, action, nanoseconds string) string {
		return `{"Type": "container", "Action": "` + action + `", "Actor": {"ID": "` + id + `"}, "timeNano": ` + nanoseconds + "}\n"
	}
	d := serveDocker(t, map[string]string{"/events": event(first, "start", "1") + event(second, "start", "1") + event(first, "start", "1") +
		event(first, "die", "2") + event("short", "start", "3") + `{"Type": "image", "Action": "start", "Actor": {"ID": "` + third + `"}}` +
		event(third, "exec_die", "4") + event(first, "start", "5") + event(first, "start", "5")})
	var got []container.Change
	err := d.Watch(within(t), func() {}, func(c container.Change) { got = append(got, c) })
	want := []container.Change{{ID: first}, {ID: second}, {ID: first, Ended: true}, {ID: first}}
	if !slices.Equal(got, want) || err == nil || !strings.Contains(err.Error(), "closed the connection") {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
