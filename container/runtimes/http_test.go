// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// playedServer is an HTTP server at a Unix socket that can be restarted.
type playedServer struct {
	socket  string
	handler http.Handler

	mu     sync.Mutex
	server *http.Server
}

func servePlayed(t testing.TB, handler http.Handler) *playedServer {
	t.Helper()
	s := &playedServer{socket: filepath.Join(containertest.Folder(t), "socket"), handler: handler}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *playedServer) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.handler}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	go func() { _ = server.Serve(l) }()
}

func (s *playedServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Close()
}

// playHTTP plays a runtime whose handler answers requests, and takes its time when it hangs.
func playHTTP(t testing.TB, name string, handler func(*containertest.Played) http.Handler) (containertest.Neighbour, *containertest.Played) {
	t.Helper()
	played := containertest.NewPlayed(name)
	answer := handler(played)
	s := servePlayed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		played.Wait(r.Context())
		answer.ServeHTTP(w, r)
	}))
	return played.Neighbour(s.socket, func() {
		s.stop()
		s.start(t)
	}), played
}

// answerJSON answers with the JSON of a value.
func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// answerError answers as both dockerd and podman do.
func answerError(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	answerJSON(w, map[string]string{"message": message})
}

// asked returns the filters in a request.
func asked(r *http.Request) map[string][]string {
	var filters map[string][]string
	_ = json.Unmarshal([]byte(r.FormValue("filters")), &filters)
	return filters
}

// answerEvents sends the changes of containers as events.
func answerEvents(w http.ResponseWriter, r *http.Request, played *containertest.Played, since time.Time, ended string) {
	w.Header().Set("Content-Type", "application/json")
	_ = http.NewResponseController(w).Flush() // so that the client believes that the server listens
	time.Sleep(time.Millisecond)
	wanted := asked(r)
	send := func(c containertest.PlayedChange) {
		action := "start"
		switch {
		case c.Created:
			action = "create"
		case c.Ended:
			action = ended
		}
		if only := wanted["event"]; !slices.Contains(only, action) {
			return
		}
		if only := wanted["container"]; len(only) > 0 && !slices.Contains(only, c.ID) {
			return
		}
		attributes := map[string]string{}
		for key, value := range c.Container.Labels {
			attributes[key] = value
		}
		attributes["image"], attributes["name"] = c.Container.Image, c.Container.Name
		answerJSON(w, map[string]any{
			"status": action, "id": c.ID, "Type": "container", "Action": action, "time": c.At.Unix(), "timeNano": c.At.UnixNano(),
			"Actor": map[string]any{"ID": c.ID, "Attributes": attributes},
		})
		_ = http.NewResponseController(w).Flush()
	}
	if r.FormValue("stream") == "false" {
		for _, c := range played.Past(since) {
			send(c)
		}
		return
	}
	played.Follow(r.Context(), since, send)
}

// waitUnlocked waits while a container is in the middle of its start.
func waitUnlocked(r *http.Request, c *containertest.PlayedContainer) {
	if c.Locked {
		select {
		case <-c.Unlocked:
		case <-r.Context().Done():
		}
	}
}

// stateName returns the name of a state, which Docker and podman share.
func stateName(c *containertest.PlayedContainer) string {
	return [...]string{"created", "running", "paused", "exited"}[c.State]
}

// wrongHTTP are servers that answer each question wrongly.
func wrongHTTP() map[string]func(testing.TB) string {
	serve := func(handler http.HandlerFunc) func(testing.TB) string {
		return func(t testing.TB) string { return servePlayed(t, handler).socket }
	}
	long := func(w io.Writer, before string) {
		_, _ = io.WriteString(w, before)
		text := strings.Repeat("x", 1<<20)
		for range 100 {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
	text := func(body string) func(testing.TB) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	}
	return map[string]func(testing.TB) string{
		"a string of 100 MB": serve(func(w http.ResponseWriter, _ *http.Request) { long(w, `[{"Id": "`) }),
		"an event of 100 MB": serve(func(w http.ResponseWriter, _ *http.Request) { long(w, `{"Type": "`) }),
		"100 MB of spaces": serve(func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<20))
			}
		}),
		"100 MB of containers": serve(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `[`)
			for i := 0; i < 100<<20; i += 100 {
				if _, err := fmt.Fprintf(w, `{"Id": "%064x", "Names": ["/name"], "State": "created"},`, i); err != nil {
					return
				}
			}
		}),
		"a header of 10 MB": serve(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 10<<20)) }),
		"no JSON":           text("<html>\x1b[31m"),
		"nothing":           text(""),
		"half an answer":    text(`[{"Id": "`),
		"deep JSON":         text(strings.Repeat("[", 1<<20)),
		"other JSON":        text(`["text"]`),
		"a number":          text(`17`),
		"an error": serve(func(w http.ResponseWriter, _ *http.Request) {
			answerError(w, http.StatusInternalServerError, "\x1b[31m"+strings.Repeat("no ", 1000))
		}),
		"an error without text": serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
		"a redirection": serve(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}),
	}
}

// ids returns the ids of containers.
func ids(all []container.Identity) (ids []string) {
	for _, id := range all {
		ids = append(ids, id.ID)
	}
	return ids
}

// within returns a context for calls that return by themselves.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
