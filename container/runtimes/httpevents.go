// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"

	"github.com/gizmo-ebpf/gizmo/container"
)

// httpEvent is an event of Docker or podman, which use the same format. It does not have the labels of the container.
type httpEvent struct {
	Type, Action string
	Actor        struct{ ID string }
	TimeNano     int64
	// Message says why podman ends the stream. It is then all that there is.
	Message string
}

// errEnded says that a server has ended a stream that has no end.
var errEnded = errors.New("the runtime closed the connection")

// watch calls changed for the events of containers whose action is start or end, until ctx is done or the connection is
// lost, and returns the reason. It calls ready when it misses no more events.
//
// A server may answer before it listens to its own events: both dockerd and podman do. So watch asks for the events since
// now, a time in the server's notation; both keep events for a while, so it does not matter when the server begins to listen.
// dockerd can then send an event twice: once from the stored events, and once as it happens.
func (c *httpClient) watch(ctx context.Context, path, since, start, end string, ready func(), changed func(container.Change)) error {
	body, err := c.open(ctx, path, url.Values{
		"since":   {since},
		"filters": {filters("type", "container", "event", start, "event", end)},
	})
	if err != nil {
		return err
	}
	defer body.Close()
	ready()
	var last recentEvents
	for events := newAnswerReader(body); ; {
		e, err := nextEvent(events)
		if errors.Is(err, io.EOF) {
			err = errEnded
		}
		if err != nil {
			return c.explain(ctx, err)
		}
		if e.Type == "" && e.Message != "" {
			return c.explain(ctx, errors.New(e.Message))
		}
		isEnd := e.Action == end
		if e.Type != "container" || e.Action != start && !isEnd || !isID(e.Actor.ID) || last.has(e) {
			continue
		}
		changed(container.Change{ID: e.Actor.ID, Ended: isEnd})
	}
}

// nextEvent reads an event of a stream.
func nextEvent(r *answerReader) (e httpEvent, err error) {
	r.body.total = maxAnswer // the stream has no end
	err = r.next(&e)
	// A decoder keeps a buffer as large as the largest event, which may have large labels.
	const usual = 64 << 10
	if maxAnswer-r.body.left > usual {
		r.in = io.MultiReader(r.Buffered(), r.in)
		r.Decoder = json.NewDecoder(r.in)
	}
	return e, err
}

// recentEvents remembers the last events, to find duplicates.
type recentEvents struct {
	events [64]httpEvent // more than a server handles at the same time
	next   int
}

// has reports whether an event is a duplicate, and remembers it.
func (r *recentEvents) has(e httpEvent) bool {
	if slices.Contains(r.events[:], e) {
		return true
	}
	r.events[r.next%len(r.events)] = e
	r.next++
	return false
}
