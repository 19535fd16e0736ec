// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Containerd asks containerd for the containers of all its namespaces, including those of Docker ("moby") and of Kubernetes
// ("k8s.io"). Docker and the Container Runtime Interface know the same containers by the same ids.
//
// Users of ctr choose ids, so two namespaces may have containers with the same id. List and Get return the one in the
// namespace whose name comes first.
type Containerd struct {
	client *grpcClient
	tasks  tasks
}

// NewContainerd returns a client for the containerd that listens at a socket. The first call connects.
func NewContainerd(socket string) *Containerd { return &Containerd{client: newGRPCClient(socket)} }

// Name implements container.Runtime.
func (c *Containerd) Name() string { return "containerd" }

// Rank implements container.Runtime.
func (c *Containerd) Rank() int { return container.RankLow }

// Socket implements container.Runtime.
func (c *Containerd) Socket() string { return c.client.socket }

// Close implements container.Runtime.
func (c *Containerd) Close() error { return c.client.Close() }

// The services of containerd, in the versions that it has since 1.2.
const (
	containersService = "containerd.services.containers.v1.Containers/"
	eventsService     = "containerd.services.events.v1.Events/"
	imagesService     = "containerd.services.images.v1.Images/"
	namespacesService = "containerd.services.namespaces.v1.Namespaces/"
	tasksService      = "containerd.services.tasks.v1.Tasks/"
)

// shimPatience is how long gizmo waits for a container's shim, which alone knows the PID. A shim answers nothing while it
// creates or starts a container, and all containers of a pod share one.
const shimPatience = 300 * time.Millisecond

// patient returns a context for asking a shim. It leaves half of the time to calls that have to succeed.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	wait := shimPatience
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, wait)
}

// List implements container.Runtime. A container has no PID if its shim does not answer.
func (c *Containerd) List(ctx context.Context) ([]container.Identity, error) {
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var all []container.Identity
	seen := make(map[string]bool)
	for _, namespace := range namespaces {
		list, err := c.listNamespace(ctx, namespace)
		if err != nil {
			return nil, err
		}
		for _, id := range list {
			if !seen[id.ID] {
				seen[id.ID] = true
				all = append(all, id)
			}
		}
		if len(all) > maxObjects {
			return nil, c.client.Explain(ctx, errTooMany)
		}
	}
	return all, nil
}

// Get implements container.Runtime. It does not wait for a container that is being created or started.
func (c *Containerd) Get(ctx context.Context, id string) (container.Identity, error) {
	if !canBeID(id) {
		return container.Identity{}, noSuch(id)
	}
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return container.Identity{}, err
	}
	for _, namespace := range namespaces {
		answer, err := c.client.call(ctx, method{containersService + "Get", namespace}, appendText(nil, 1, id), maxObject)
		if hasCode(err, codeNotFound) {
			continue
		}
		if err != nil {
			return container.Identity{}, err
		}
		message, err := messageIn(answer, 1)
		if err != nil {
			return container.Identity{}, c.client.Explain(ctx, err)
		}
		return c.complete(ctx, namespace, message)
	}
	return container.Identity{}, noSuch(id)
}

// complete makes an identity of the message of a container.
func (c *Containerd) complete(ctx context.Context, namespace string, message []byte) (container.Identity, error) {
	id, err := containerdIdentity(namespace, message)
	if err != nil {
		return id, c.client.Explain(ctx, err)
	}
	if id.Image != "" {
		answer, err := c.client.call(ctx, method{imagesService + "Get", namespace}, appendText(nil, 1, id.Image), maxObject)
		if err != nil && !isRefused(err) { // the image may have been removed
			return id, err
		}
		err = eachMessage(answer, 1, func(image []byte) (err error) {
			_, id.ImageDigest, err = containerdImage(image)
			return err
		})
		if err != nil {
			return id, c.client.Explain(ctx, err)
		}
	}
	id.PID, _ = c.pid(ctx, namespace, id.ID)
	if ctx.Err() != nil {
		return id, c.client.Explain(ctx, ctx.Err())
	}
	return id, nil
}

func (c *Containerd) namespaces(ctx context.Context) ([]string, error) {
	answer, err := c.client.call(ctx, method{name: namespacesService + "List"}, nil, maxObject)
	if err != nil {
		return nil, err
	}
	var names []string
	err = eachMessage(answer, 1, func(namespace []byte) error {
		for f, err := range fields(namespace) {
			if err != nil {
				return err
			}
			if name := f.id(); f.number == 1 && name != "" {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, c.client.Explain(ctx, err)
	}
	slices.Sort(names)
	return names, nil
}

// listNamespace returns the containers of a namespace that run, or whose shim does not say whether they do.
func (c *Containerd) listNamespace(ctx context.Context, namespace string) ([]container.Identity, error) {
	list, err := c.created(ctx, namespace)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	ended := make([]bool, len(list))
	inParallel(len(list), func(i int) {
		var known bool
		list[i].PID, known = c.pid(ctx, namespace, list[i].ID)
		ended[i] = known && list[i].PID == 0
		if known {
			c.tasks.note(taskKey{namespace, list[i].ID}, list[i].PID)
		}
	})
	if ctx.Err() != nil {
		return nil, c.client.Explain(ctx, ctx.Err())
	}
	all := list
	list = nil
	for i := range all {
		if !ended[i] {
			list = append(list, all[i])
		}
	}
	if !slices.ContainsFunc(list, func(id container.Identity) bool { return id.Image != "" }) {
		return list, nil
	}
	answer, err := c.client.call(ctx, method{imagesService + "List", namespace}, nil, maxList)
	if err != nil && !isRefused(err) {
		return nil, err
	}
	digests := make(map[string]string)
	err = eachMessage(answer, 1, func(image []byte) error {
		name, digest, err := containerdImage(image)
		if len(digests) < maxObjects {
			digests[name] = digest
		}
		return err
	})
	if err != nil {
		return nil, c.client.Explain(ctx, err)
	}
	for i := range list {
		list[i].ImageDigest = digests[list[i].Image]
	}
	return list, nil
}

// created returns the containers of a namespace, whether or not they run. Each message of the stream has one container with
// its whole configuration, so that gizmo never holds all the configurations at once.
func (c *Containerd) created(ctx context.Context, namespace string) ([]container.Identity, error) {
	stream, err := c.client.open(ctx, method{containersService + "ListStream", namespace}, nil, maxObject)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var list []container.Identity
	for kept := 0; ; {
		message, err := stream.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		err = eachMessage(message, 1, func(message []byte) error {
			id, err := containerdIdentity(namespace, message)
			list = append(list, id)
			kept += sizeOf(&id)
			if len(list) > maxObjects || kept > maxKept {
				err = errors.Join(err, errTooMany)
			}
			return err
		})
		if err != nil {
			return nil, c.client.Explain(ctx, err)
		}
	}
}

// pid returns the id of the first process of a container, 0 if the container does not run. It is not known if the container's shim
// does not answer in time.
func (c *Containerd) pid(ctx context.Context, namespace, id string) (pid int, known bool) {
	if pid, known := c.tasks.pid(namespace, id); known {
		return pid, true
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	answer, err := c.client.call(ctx, method{tasksService + "Get", namespace}, appendText(nil, 1, id), maxObject)
	if err != nil {
		return 0, hasCode(err, codeNotFound)
	}
	const unknown, running, paused, pausing = 0, 2, 4, 5
	var number, status uint64
	err = eachMessage(answer, 1, func(process []byte) error {
		for f, err := range fields(process) {
			if err != nil {
				return err
			}
			switch f.number {
			case 3:
				number = f.value
			case 4:
				status = f.value
			}
		}
		return nil
	})
	switch {
	case err != nil || status == unknown: // the shim has not answered containerd in time
		return 0, false
	case status != running && status != paused && status != pausing:
		return 0, true
	}
	return validPID(number), true
}

// containerdIdentity makes an identity of the message of a container.
func containerdIdentity(namespace string, message []byte) (container.Identity, error) {
	id := container.Identity{Runtime: "containerd"}
	if namespace == dockerNamespace { // the user knows the container as Docker's, even if dockerd does not answer
		id.Runtime = "docker"
	}
	var all pairs
	for f, err := range fields(message) {
		if err != nil {
			return id, err
		}
		switch f.number {
		case 1:
			id.ID = f.id()
		case 2:
			if err := all.add(f.bytes); err != nil {
				return id, err
			}
		case 3:
			id.Image = f.text()
		}
	}
	if id.ID == "" {
		return id, errNoID
	}
	id.Labels = all.labels()
	id.Name = cmp.Or(id.Labels["nerdctl/name"], id.ID)
	if namespace == kubernetesNamespace {
		identifyPod(&id, id.Labels["io.cri-containerd.kind"] == "sandbox", id.Labels)
	}
	return id, nil
}

// containerdImage reads the name and the digest in the message of an image.
func containerdImage(message []byte) (name, digest string, err error) {
	for f, err := range fields(message) {
		if err != nil {
			return "", "", err
		}
		switch f.number {
		case 1:
			name = f.text()
		case 3:
			for f, err := range fields(f.bytes) {
				if err != nil {
					return "", "", err
				}
				if f.number == 2 {
					digest = f.text()
				}
			}
		}
	}
	return name, digest, nil
}
