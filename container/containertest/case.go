// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Case describes the client of a runtime to [Runtime].
type Case struct {
	// New returns a client for the runtime at a socket.
	New func(socket string) container.Runtime
	// Neighbour returns a running runtime, which runs until the test ends. It may be the same one each time, and may have
	// containers besides those of the suite.
	Neighbour func(t testing.TB) Neighbour
	// Wrong are servers that give wrong answers, by the fault of the answer. Each function starts a server
	// and returns its socket. The suite itself has the cases that do not depend on the server's protocol.
	Wrong map[string]func(t testing.TB) (socket string)
	// Undated says that the runtime does not report when its containers started.
	Undated bool
	// Slow says that the neighbour takes its time to start containers: the suite starts fewer.
	Slow bool
	// patience is how long a call may take; 0 means patience.
	patience time.Duration
}

// Neighbour is a runtime, with functions for what a test does to it. Each function returns when its effect is complete.
type Neighbour struct {
	// Socket is the path of the socket for the client.
	Socket string
	// Create makes a container that does not run yet.
	Create func(t testing.TB, w Wanted) (id string)
	// Start and End start and end a container. Remove removes a stopped container; it may already be removed.
	Start, End, Remove func(t testing.TB, id string)
	// Pause stops the processes of a container. Nil: the runtime cannot do that.
	Pause func(t testing.TB, id string)
	// Begin begins to start a container and returns in the middle of the start, before the container has run anything. Finish
	// continues the start. Nil skips the rule.
	Begin func(t testing.TB, id string) (finish func())
	// Says returns what the runtime itself reports about a running container.
	Says func(t testing.TB, id string) container.Identity
	// Hang makes the runtime answer nothing until resume is called.
	Hang func(t testing.TB) (resume func())
	// Restart ends the runtime and starts it again. Its containers may end.
	Restart func(t testing.TB)
	// MaxLabel is how many bytes the key and the value of a label may have together; 0 means any number.
	MaxLabel int
	// AnyName says that the runtime accepts any text as the name of a container.
	AnyName bool
}

// Wanted describes a container to be made.
type Wanted struct {
	// Name is the name of the container, or of the container within a pod if the runtime has only those.
	Name string
	// Labels are added to the labels from the runtime and from the image.
	Labels map[string]string
}

// Bounds for what clients keep of a container.
const (
	// MaxText is how many bytes of a name or of a label's value a client keeps. It cuts off the rest, and skips a label with a
	// longer key.
	MaxText = 4 << 10
	// MaxLabels is how many bytes the labels of a container may have in all. A client drops labels beyond that: the
	// same ones each time.
	MaxLabels = 64 << 10
)

// Runtime runs the tests that every [container.Runtime] passes.
func Runtime(t *testing.T, c Case) {
	t.Helper()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) { r.check(t, &c) })
	}
}

// rule is one requirement of the suite.
type rule struct {
	name  string
	check func(t testing.TB, c *Case)
}

func rules() []rule {
	rules := []rule{
		{"it says who it is", saysWhoItIs},
		{"List returns what runs", listReturnsWhatRuns},
		{"Get knows what was created", getKnowsCreated},
		{"Get does not wait for a start", getDoesNotWait},
		{"no change is missed after ready", nothingMissed},
		{"each start and end comes once", changesComeOnce},
		{"Watch returns when its context is done", watchReturns},
		{"the runtime may come back", comesBack},
		{"the context ends each call", contextEndsCalls},
		{"several goroutines may ask", severalAsk},
		{"nothing is left behind", nothingLeft},
	}
	if !raceDetector { // which needs memory, and takes long for a hundred megabytes
		rules = append(rules, rule{"names and labels are bounded", textIsBounded}, rule{"wrong answers are errors", wrongAnswers})
	}
	return rules
}

// patience is how long a call may take on a busy machine.
const patience = 20 * time.Second

// client is a client under test.
type client struct {
	container.Runtime
	patience time.Duration
}

func (c *Case) client(socket string) *client {
	return &client{c.New(socket), cmp.Or(c.patience, patience)}
}

// open returns a neighbour and a client, which the caller closes.
func (c *Case) open(t testing.TB) (Neighbour, *client) {
	t.Helper()
	n := c.Neighbour(t)
	return n, c.client(n.Socket)
}

func (c *client) closing(t testing.TB) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// soon returns a context for a call that has to return without being canceled.
func (c *client) soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	t.Cleanup(cancel)
	return ctx
}

func (c *client) list(t testing.TB) map[string]container.Identity {
	t.Helper()
	all, err := c.List(c.soon(t))
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	byID := make(map[string]container.Identity)
	for _, id := range all {
		if _, twice := byID[id.ID]; twice {
			t.Errorf("List has %s twice", id.ID)
		}
		byID[id.ID] = id
	}
	return byID
}

func (c *client) get(t testing.TB, id string) container.Identity {
	t.Helper()
	got, err := c.Get(c.soon(t), id)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return got
}

// with makes a container, calls use, and removes the container.
func (n *Neighbour) with(t testing.TB, w Wanted, use func(id string)) {
	t.Helper()
	id := n.Create(t, w)
	defer n.Remove(t, id)
	use(id)
}

// running is with for a running container.
func (n *Neighbour) running(t testing.TB, w Wanted, use func(id string)) {
	t.Helper()
	n.with(t, w, func(id string) {
		n.Start(t, id)
		defer n.End(t, id)
		use(id)
	})
}
