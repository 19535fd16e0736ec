// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/url"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// Podman asks podman's service for the containers of its user.
//
// podman locks a container while it starts. All calls about the state of that container wait for the lock, and so does a
// list of all containers. Events do not.
type Podman struct {
	client *httpClient
	images imageDigests
}

// NewPodman returns a client for the podman that listens at a socket. The first call connects.
func NewPodman(socket string) *Podman { return &Podman{client: newHTTPClient(socket)} }

// Name implements container.Runtime.
func (p *Podman) Name() string { return "podman" }

// Rank implements container.Runtime.
func (p *Podman) Rank() int { return container.RankHigh }

// Socket implements container.Runtime.
func (p *Podman) Socket() string { return p.client.socket }

// Close implements container.Runtime.
func (p *Podman) Close() error { return p.client.Close() }

const (
	podmanAPI = "/v4.0.0/libpod" // which podman 5 has, too
	// podmanLate is the time without an answer after which a container may be locked. Most answers take less than 5 ms.
	podmanLate = 20 * time.Millisecond
	// podmanRecent is the largest age of a container for which gizmo reads podman's events, which may be many.
	podmanRecent = 10 * time.Minute
)

// List implements container.Runtime. It waits for a container that is being started.
func (p *Podman) List(ctx context.Context) ([]container.Identity, error) {
	// The default list lacks paused containers, and there is no filter for containers that are being stopped.
	found, err := p.list(ctx, url.Values{"all": {"true"}}, maxListing)
	if err != nil {
		return nil, err
	}
	var all []container.Identity
	for i := range found {
		if c := &found[i]; c.runs() {
			digest, err := p.digest(ctx, c.ImageID)
			if err != nil {
				return nil, err
			}
			all = append(all, c.identity(digest))
		}
	}
	return all, nil
}

// Get implements container.Runtime. It does not wait for a container that is being started, if that was created in the last
// ten minutes. Such a container has no PID yet, and its image has no digest.
func (p *Podman) Get(ctx context.Context, id string) (container.Identity, error) {
	if !isID(id) {
		return container.Identity{}, noSuch(id)
	}
	var found, noted container.Identity
	err := askUnlessLocked(ctx, podmanLate, func(ctx context.Context) (err error) {
		found, err = p.get(ctx, id)
		return err
	}, func(ctx context.Context) bool {
		var err error
		noted, err = p.noted(ctx, id)
		return err == nil && noted.ID != ""
	})
	if errors.Is(err, errLocked) {
		return noted, nil
	}
	return found, err
}

// Watch implements container.Runtime.
func (p *Podman) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	return p.client.watch(ctx, podmanAPI+"/events", podmanTime(time.Now()), "start", "died", ready, changed)
}

func podmanTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// podmanContainer is a container in a list.
type podmanContainer struct {
	ID                    string `json:"Id"`
	Names                 []string
	Image, ImageID, State string
	Labels                map[string]string
	PID                   uint64 `json:"Pid"`
	StartedAt             int64  // in seconds since 1970: lists are not more precise
	IsInfra               bool
}

func (c *podmanContainer) runs() bool {
	return c.State == "running" || c.State == "paused" || c.State == "stopping"
}

func (p *Podman) list(ctx context.Context, query url.Values, limit int) (found []podmanContainer, err error) {
	err = p.client.ask(ctx, podmanAPI+"/containers/json", query, limit, func(answer *answerReader) error {
		return eachIn(answer, func(c *podmanContainer) {
			if isID(c.ID) {
				c.Labels = boundLabels(c.Labels)
				found = append(found, *c)
			}
		})
	})
	return found, err
}

// get returns a container, and waits while it is locked. A list with only this container would take as long as a list of all: podman reads
// all, and then filters.
func (p *Podman) get(ctx context.Context, id string) (container.Identity, error) {
	var details struct {
		podmanContainer
		Name, ImageName, ImageDigest string
		// Here, Image has the id of the image, not its name.
		State struct {
			Status    string
			PID       uint64 `json:"Pid"`
			StartedAt string
		}
		Config struct{ Labels map[string]string }
	}
	err := p.client.get(ctx, podmanAPI+"/containers/"+id+"/json", &details)
	switch {
	case isNotFound(err), err == nil && details.ID != id: // podman also takes parts of ids
		return container.Identity{}, noSuch(id)
	case err != nil:
		return container.Identity{}, err
	}
	c := &details.podmanContainer
	c.Names, c.Image, c.ImageID = []string{details.Name}, details.ImageName, details.Image
	c.State, c.PID, c.Labels = details.State.Status, details.State.PID, boundLabels(details.Config.Labels)
	started, _ := time.Parse(time.RFC3339Nano, details.State.StartedAt)
	c.StartedAt = started.Unix()
	return c.identity(cmp.Or(details.ImageDigest, configDigest(c.ImageID))), nil
}

// identity returns the identity of a container whose image has a digest.
func (c *podmanContainer) identity(digest string) container.Identity {
	id := container.Identity{
		Runtime: "podman", ID: c.ID, Name: clip(cmp.Or(c.Names...)), Image: clip(c.Image), ImageDigest: clip(digest), Labels: c.Labels,
		// podman's pods are not those of Kubernetes and have no namespace, but they also have a sandbox.
		Pod: container.Pod{Sandbox: c.IsInfra},
	}
	if c.runs() {
		id.PID, id.StartedAt = validPID(c.PID), time.Unix(c.StartedAt, 0)
	}
	return id
}

// digest returns the digest of an image; that of its configuration if podman has no other.
func (p *Podman) digest(ctx context.Context, image string) (string, error) {
	digest, err := p.images.of(image, func() (string, error) {
		if image == "" {
			return "", nil
		}
		var answer struct{ Digest string }
		err := p.client.get(ctx, podmanAPI+"/images/"+image+"/json", &answer)
		return answer.Digest, err
	})
	if err != nil && !isHTTPError(err) {
		return "", err
	}
	return cmp.Or(digest, configDigest(image)), nil
}

// configDigest returns the digest of an image's configuration, which is the image's id; empty for an empty id.
func configDigest(image string) string {
	if image == "" { // the root of the container is a folder
		return ""
	}
	return "sha256:" + image
}

// noted returns the identity that podman recorded when it created a container that does not run; an empty identity if that was long ago, or
// if the container runs or was removed.
func (p *Podman) noted(ctx context.Context, id string) (noted container.Identity, err error) {
	query := url.Values{
		"stream":  {"false"},
		"since":   {podmanTime(time.Now().Add(-podmanRecent))},
		"filters": {filters("type", "container", "container", id, "event", "create", "event", "start", "event", "died", "event", "remove")},
	}
	last := ""
	err = p.client.ask(ctx, podmanAPI+"/events", query, maxListing, func(answer *answerReader) error {
		for {
			var e struct {
				httpEvent
				Actor struct {
					ID         string
					Attributes map[string]string
				}
			}
			if err := answer.next(&e); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if e.Actor.ID != id {
				continue
			}
			last = e.Action
			if e.Action == "create" {
				noted = createdIdentity(id, e.Actor.Attributes)
			}
		}
	})
	if last == "start" || last == "remove" {
		return container.Identity{}, err
	}
	return noted, err
}

// createdIdentity returns the identity of a container from an event. The attributes are the labels and some others.
func createdIdentity(id string, attributes map[string]string) container.Identity {
	created := container.Identity{Runtime: "podman", ID: id, Name: clip(attributes["name"]), Image: clip(attributes["image"])}
	for _, noLabel := range []string{"containerExitCode", "image", "name", "podId"} {
		delete(attributes, noLabel)
	}
	created.Labels = boundLabels(attributes)
	return created
}
