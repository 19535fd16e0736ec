// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// The namespaces of containerd that belong to other programs.
const (
	dockerNamespace     = "moby"
	kubernetesNamespace = "k8s.io"
)

// tasks has the ids of the first processes of containers, from containerd's events since Watch began, and from a list since then. With
// them, the client need not ask a shim, which may not answer.
type tasks struct {
	mu       sync.Mutex
	watching bool            // Watch misses no event
	pids     map[taskKey]int // 0: the container does not run
}

type taskKey struct{ namespace, id string }

// pid returns the id of a container's first process, 0 if the container does not run, and whether the events say so.
func (t *tasks) pid(namespace, id string) (pid int, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pid, known = t.pids[taskKey{namespace, id}]
	return pid, known
}

// set is for events.
func (t *tasks) set(key taskKey, pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(key, pid)
}

// note is for what a shim says. An event about the container may have been newer.
func (t *tasks) note(key taskKey, pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.pids[key]; !known && t.watching {
		t.put(key, pid)
	}
}

func (t *tasks) put(key taskKey, pid int) {
	if t.pids == nil {
		t.pids = make(map[taskKey]int)
	}
	if _, known := t.pids[key]; known || len(t.pids) < maxObjects {
		t.pids[key] = pid
	}
}

func (t *tasks) forget(key taskKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pids, key)
}

// begin is called when Watch misses no event any more.
func (t *tasks) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watching = true
}

// forgetAll is for the time after Watch, which misses events.
func (t *tasks) forgetAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watching, t.pids = false, nil
}

// The topics of the events that gizmo asks for.
const (
	topicCreate = "/containers/create"
	topicDelete = "/containers/delete"
	topicStart  = "/tasks/start"
	topicExit   = "/tasks/exit"
)

// Watch implements container.Runtime.
func (c *Containerd) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	defer c.tasks.forgetAll()
	isReady := func() {
		c.tasks.begin()
		ready()
	}
	return watchTasks(ctx, c.client, "", isReady, func(e event, told bool) {
		key := taskKey{e.namespace, e.id}
		switch e.topic {
		case topicCreate:
			c.tasks.set(key, 0)
		case topicDelete:
			c.tasks.forget(key)
		case topicStart:
			c.tasks.set(key, e.pid)
		case topicExit:
			c.tasks.set(key, 0)
		}
		if ended := e.topic == topicExit; told && (ended || e.topic == topicStart) {
			changed(container.Change{ID: e.id, Ended: ended})
		}
	})
}

// event is an event of containerd.
type event struct {
	topic, namespace, id string
	process              string // the name of the process that has ended
	pid                  int
	at                   time.Time
}

// watchTasks calls got for the events of containers in a namespace of containerd, "" for all namespaces. isReady says
// whether it has called ready.
func watchTasks(ctx context.Context, client *grpcClient, namespace string, ready func(), got func(e event, isReady bool)) error {
	signal := newSignal()
	var request []byte
	for _, topic := range []string{topicCreate, topicDelete, topicStart, topicExit} {
		filter := `topic=="` + topic + `"`
		if namespace != "" {
			filter += `,namespace=="` + namespace + `"`
		}
		request = appendText(request, 1, filter)
	}
	request = appendText(request, 1, `topic=="`+signal.topic+`"`)
	isReady := false
	err := client.watch(ctx, grpcWatch{
		method: method{name: eventsService + "Subscribe"}, request: request,
		confirm: func(ctx context.Context) error { return signal.send(ctx, client) },
		ready: func() {
			isReady = true
			ready()
		},
		got: func(envelope []byte) error {
			e, err := readEvent(envelope)
			switch {
			case err != nil:
				return client.Explain(ctx, err)
			case e.topic == signal.topic:
				signal.seen()
			case e.id == "":
				return client.Explain(ctx, errNoID)
			case e.topic != topicExit || e.process == e.id: // otherwise another process of the container has ended
				got(e, isReady)
			}
			return nil
		},
	})
	if err == nil {
		err = client.Explain(ctx, errLost)
	}
	return err
}

// signal is an event that gizmo sends to itself, to find out that containerd has begun to forward events. containerd does
// not say so, and without the signal gizmo would miss what happens right after the call (docs/RATIONALE.md).
// containerd does not store events, and forwards this one only to clients that ask for all events, or for this topic.
type signal struct {
	topic string
	seen  func() // the receiver calls it when the event has come
	came  chan struct{}
}

func newSignal() *signal {
	came := make(chan struct{})
	return &signal{topic: "/gizmo/" + strings.ToLower(rand.Text()), seen: sync.OnceFunc(func() { close(came) }), came: came}
}

// send sends the signal until it has come back. It gives up if containerd refuses it, or does not send it back for a second.
func (s *signal) send(ctx context.Context, client *grpcClient) error {
	nothing := appendText(nil, 1, "google.protobuf.Empty") // containerd demands that an event has a type
	request := appendMessage(appendText(nil, 1, s.topic), 2, nothing)
	for wait := 5 * time.Millisecond; wait < time.Second; wait *= 2 {
		_, err := client.call(ctx, method{eventsService + "Publish", "gizmo"}, request, maxObject)
		if isRefused(err) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-s.came:
			return nil
		case <-ctx.Done():
			return client.Explain(ctx, nil)
		case <-time.After(wait):
		}
	}
	return nil
}

// readEvent reads an envelope of containerd.
func readEvent(envelope []byte) (e event, err error) {
	var payload []byte
	for f, err := range fields(envelope) {
		if err != nil {
			return e, err
		}
		switch f.number {
		case 1:
			if e.at, err = readTime(f.bytes); err != nil {
				return e, err
			}
		case 2:
			e.namespace = f.id()
		case 3:
			e.topic = f.id()
		case 4:
			if payload, err = messageIn(f.bytes, 2); err != nil {
				return e, err
			}
		}
	}
	for f, err := range fields(payload) {
		if err != nil {
			return e, err
		}
		switch {
		case f.number == 1:
			e.id = f.id()
		case f.number == 2 && e.topic == topicExit:
			e.process = f.id()
		case f.number == 2 && e.topic == topicStart:
			e.pid = validPID(f.value)
		}
	}
	return e, nil
}
