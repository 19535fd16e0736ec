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
	// New returns a client for the runtime that is asked at a socket.
	New func(socket string) container.Runtime
	// Neighbour returns a runtime that runs, until the test ends. It may be the same one each time, and may have other
	// containers than those of the suite.
	Neighbour func(t testing.TB) Neighbour
	// Wrong are servers that answer each question wrongly, by what is wrong with the answer. Each function starts a server
	// and returns its socket. The suite has the cases that do not depend on what the server speaks.
	Wrong map[string]func(t testing.TB) (socket string)
	// Slow says that the neighbour takes its time to start containers: the suite starts fewer.
	Slow bool
	// patience is how long a call may take; 0 means patience.
	patience time.Duration
}

// Neighbour is a runtime with what a test does to it. All functions return when what they do is done.
type Neighbour struct {
	// Socket is where the client asks.
	Socket string
	// Create makes a container that does not run yet.
	Create func(t testing.TB, w Wanted) (id string)
	// Start, End and Remove start a container, end it, and remove one that does not run and may have been removed.
	Start, End, Remove func(t testing.TB, id string)
	// Pause stops the processes of a container. Nil: the runtime cannot.
	Pause func(t testing.TB, id string)
	// Begin begins to start a container and returns in the middle of that, before the container has run anything. Finish
	// lets the start go on. Nil leaves the rule out.
	Begin func(t testing.TB, id string) (finish func())
	// Says returns what the runtime itself says of a container that runs.
	Says func(t testing.TB, id string) container.Identity
	// Hang makes the runtime answer nothing until resume is called.
	Hang func(t testing.TB) (resume func())
	// Restart ends the runtime and starts it again. Its containers may end.
	Restart func(t testing.TB)
	// AnyName says that the runtime takes any text for the name of a container.
	AnyName bool
}

// Wanted describes a container to be made.
type Wanted struct {
	// Name is the name of the container; of a pod's container where the runtime has no other names.
	Name string
	// Labels are beside those that the runtime adds by itself, or takes from the image.
	Labels map[string]string
}

// Bounds for what clients keep of a container.
const (
	// MaxText is how many bytes of a name or of the value of a label a client keeps. The rest is cut off. A label with a
	// longer key is left out.
	MaxText = 4 << 10
	// MaxLabels is how many bytes the labels of a container may have in all. Those that are too many are left out: the
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

// rule is one thing that the suite demands.
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

// client is a client that the suite asks.
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

// soon returns a context for a call that has to return by itself.
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

// running is with for a container that runs.
func (n *Neighbour) running(t testing.TB, w Wanted, use func(id string)) {
	t.Helper()
	n.with(t, w, func(id string) {
		n.Start(t, id)
		defer n.End(t, id)
		use(id)
	})
}
