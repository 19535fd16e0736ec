// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package registry moves images between registries and the store of this machine.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

const (
	// maxAttached is how many manifests that refer to an image are taken with it.
	maxAttached = 32
	// answerTimeout is how long a registry may take to begin an answer.
	answerTimeout = 30 * time.Second
)

// Client talks to registries.
type Client struct {
	insecure []string
	auth     *auth.Client
}

// Options say how registries are to be reached.
type Options struct {
	// AuthFile has the credentials, in the form of Docker's configuration file. Empty: that of [AuthFile].
	AuthFile string
	// Insecure are registries, HOST or HOST:PORT, that are asked by HTTP rather than HTTPS.
	Insecure []string
	// UserAgent names the program.
	UserAgent string
}

// New returns a client. It talks to nobody.
func New(o Options) (*Client, error) {
	known, err := openCredentials(o.AuthFile)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerTimeout
	c := &auth.Client{
		Client: &http.Client{Transport: retry.NewTransport(transport)}, Cache: auth.NewCache(), Credential: credentials.Credential(known),
	}
	c.SetUserAgent(o.UserAgent)
	return &Client{insecure: o.Insecure, auth: c}, nil
}

// repository returns a repository of a registry.
func (c *Client) repository(name reference.Name) (*remote.Repository, error) {
	r, err := remote.NewRepository(name.Path())
	if err != nil {
		return nil, err
	}
	r.Client, r.PlainHTTP, r.MaxMetadataBytes = c.auth, slices.Contains(c.insecure, name.Domain), oci.MaxIndex
	return r, nil
}

// Pull copies an image to the store, with its signatures, and gives it its name there. An image that was named by its digest alone has that as its name.
func (c *Client) Pull(ctx context.Context, to *store.Store, name reference.Name) (ocispec.Descriptor, error) {
	d, err := c.pull(ctx, to, name)
	if err != nil {
		return d, fmt.Errorf("pull %s: %w", name, err)
	}
	return d, nil
}

func (c *Client) pull(ctx context.Context, to *store.Store, name reference.Name) (ocispec.Descriptor, error) {
	from, err := c.repository(name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return to.Add(ctx, name.String(), func() (ocispec.Descriptor, error) {
		d, err := from.Resolve(ctx, name.Reference())
		if err != nil {
			return d, err
		}
		if d.MediaType != ocispec.MediaTypeImageIndex {
			return d, fmt.Errorf("%w: it is not an image index, but %q", oci.ErrNoGadget, d.MediaType)
		}
		if d.Size > oci.MaxIndex {
			return d, fmt.Errorf("its index has %d bytes; gizmo takes at most %d", d.Size, oci.MaxIndex)
		}
		if err := oras.CopyGraph(ctx, from, to, d, oci.CopyOptions()); err != nil {
			return d, err
		}
		d.Annotations = nil // others' annotations say nothing about this machine
		return d, c.pullAttached(ctx, from, to, d)
	})
}

// PullSignatures copies the signatures of an image that the store has, such as those that were made after it was pulled.
func (c *Client) PullSignatures(ctx context.Context, to *store.Store, image ocispec.Descriptor, name reference.Name) error {
	from, err := c.repository(name)
	if err != nil {
		return err
	}
	release, err := to.Hold()
	if err != nil {
		return err
	}
	defer release()
	return c.pullAttached(ctx, from, to, image)
}

// pullAttached copies what belongs to an image: signatures under the tag that cosign makes of the digest, and manifests that refer to it.
func (c *Client) pullAttached(ctx context.Context, from *remote.Repository, to *store.Store, image ocispec.Descriptor) error {
	var attached []ocispec.Descriptor
	d, err := from.Resolve(ctx, oci.SignatureTag(image))
	switch {
	case err == nil:
		attached = append(attached, d)
	case !errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("look for signatures: %w", err)
	}
	err = from.Referrers(ctx, image, "", func(referrers []ocispec.Descriptor) error {
		attached = append(attached, referrers...)
		if len(attached) > maxAttached {
			return fmt.Errorf("more than %d manifests refer to it", maxAttached)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for signatures: %w", err)
	}
	for _, d := range attached {
		if err := oras.CopyGraph(ctx, from, to, d, withoutSubject(image)); err != nil {
			return fmt.Errorf("copy signatures: %w", err)
		}
		if err := to.Attach(ctx, d, image); err != nil {
			return err
		}
	}
	return nil
}

// withoutSubject copies a manifest and its parts, but not the image that it refers to, which is there.
func withoutSubject(image ocispec.Descriptor) oras.CopyGraphOptions {
	o := oci.CopyOptions()
	o.FindSuccessors = func(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		parts, err := content.Successors(ctx, from, d)
		return slices.DeleteFunc(parts, func(part ocispec.Descriptor) bool { return part.Digest == image.Digest }), err
	}
	return o
}

// Push copies an image of the store to its registry, with its signatures.
func (c *Client) Push(ctx context.Context, from *store.Store, image ocispec.Descriptor, name reference.Name) error {
	if err := c.push(ctx, from, image, name); err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	return nil
}

func (c *Client) push(ctx context.Context, from *store.Store, image ocispec.Descriptor, name reference.Name) error {
	to, err := c.repository(name)
	if err != nil {
		return err
	}
	if err := oras.CopyGraph(ctx, from, to, image, oci.CopyOptions()); err != nil {
		return err
	}
	if name.Tag != "" {
		if err := to.Tag(ctx, image, name.Tag); err != nil {
			return err
		}
	}
	attached, err := from.Attached(image)
	if err != nil {
		return err
	}
	for _, d := range attached {
		if err := oras.CopyGraph(ctx, from, to, d, withoutSubject(image)); err != nil {
			return fmt.Errorf("copy signatures: %w", err)
		}
		if d.ArtifactType != "" { // the registry finds it by its subject
			continue
		}
		if err := to.Tag(ctx, d, oci.SignatureTag(image)); err != nil {
			return fmt.Errorf("copy signatures: %w", err)
		}
	}
	return nil
}
