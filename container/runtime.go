// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
)

// Runtime is the client of a container runtime. Package containertest has the tests that every client passes. Several goroutines
// may call the methods at once. They return soon after ctx is done, whatever the runtime does, and
// bound what they read: an answer of many megabytes is an error. They keep 4 KiB of each name and label value, and 64 KiB
// of all labels of a container.
type Runtime interface {
	// Name is the name of the runtime as users know it, for messages and --runtimes.
	Name() string
	// Rank says how much the runtime knows about a container, for containers that several runtimes list: see the constants.
	Rank() int
	// Socket is the path of the runtime's socket.
	Socket() string
	// List returns the running containers, including paused ones. It skips containers that end
	// meanwhile. A container has no PID if the runtime does not answer about it in time; it may not run then.
	List(ctx context.Context) ([]Identity, error)
	// Get returns a container that has been created, whether or not it runs yet. It returns an error that wraps
	// ErrUnknown if the runtime has no such container.
	Get(ctx context.Context, id string) (Identity, error)
	// Watch calls changed for each container that starts or ends, until ctx is done or the connection is lost, and
	// returns the reason. It calls ready once: after that it misses no change.
	Watch(ctx context.Context, ready func(), changed func(Change)) error
	// Close releases the client's resources. No other method may be running.
	Close() error
}

// The ranks of sources, from the one that knows the least. If several sources list a container, the highest rank overrides the
// others, which fill in what it leaves empty.
const (
	// RankBundle is for the files of an OCI runtime such as runc.
	RankBundle = 1 + iota
	// RankLow is for runtimes that other runtimes use: containerd, whose containers may be those of Docker or of Kubernetes.
	RankLow
	// RankPods is for the Container Runtime Interface, which the kubelet uses.
	RankPods
	// RankHigh is for runtimes that users use directly: Docker, podman.
	RankHigh
)

// Change says that a container has started or ended.
type Change struct {
	ID string
	// Ended says that it has ended; otherwise it has started.
	Ended bool
}

// ErrUnknown says that a runtime has no container with that id.
var ErrUnknown = errors.New("no such container")
