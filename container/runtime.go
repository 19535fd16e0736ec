// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
)

// Runtime is a container runtime that can be asked. Package containertest has the tests that all of them pass. The methods
// may be called by several goroutines at once. They return soon after ctx is done, whatever the runtime does, and
// bound what they read: an answer of many megabytes is an error. Of names and the values of labels they keep 4 KiB, of the
// labels of a container 64 KiB in all.
type Runtime interface {
	// Name is the name of the runtime as users know it, for messages and --runtimes.
	Name() string
	// Rank says how much the runtime knows of a container, for those that several list: see the constants.
	Rank() int
	// Socket is the path of the socket that the runtime is asked at.
	Socket() string
	// List returns the containers that run, those that are paused included. Containers that end while it looks are left
	// out.
	List(ctx context.Context) ([]Identity, error)
	// Get returns a container that has been created, whether or not it runs yet. It returns an error that wraps
	// ErrUnknown if the runtime has no such container.
	Get(ctx context.Context, id string) (Identity, error)
	// Watch calls changed for each container that starts or ends, until ctx is done or the connection is lost, and
	// returns why. It calls ready once: from then on no change is missed.
	Watch(ctx context.Context, ready func(), changed func(Change)) error
	// Close releases what the client holds. No other method may be running.
	Close() error
}

// The ranks of sources, from the one that knows the least. Of a container that several list the highest prevails, and the
// others complete what it leaves empty.
const (
	// RankBundle is for what the files of an OCI runtime say, runc's for example.
	RankBundle = 1 + iota
	// RankLow is for runtimes that others stand on: containerd, whose containers may be those of Docker or of Kubernetes.
	RankLow
	// RankHigh is for runtimes that users talk to: Docker, podman, the Container Runtime Interface.
	RankHigh
)

// Change says that a container has started or ended.
type Change struct {
	ID string
	// Ended says that it has ended; otherwise it has started.
	Ended bool
}

// ErrUnknown says that a runtime has no container of that id.
var ErrUnknown = errors.New("no such container")
