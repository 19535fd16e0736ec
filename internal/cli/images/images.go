// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package images has the commands about images of gadgets, and finds images for runs.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/registry"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// Env is what the commands use of the program.
type Env struct {
	In io.Reader
	// Out and Err take text that is safe for terminals.
	Out, Err io.Writer
	// Version is that of the program.
	Version string
	// Warn is called with what the user should know.
	Warn func(error)
}

// defaults complete the names of images.
func (e *Env) defaults() reference.Defaults { return reference.FromEnvironment() }

// registryFlags say how registries are reached.
type registryFlags struct {
	authFile string
	insecure []string
}

func (f *registryFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.authFile, "authfile", "", "credentials for registries, as docker has them; default: $REGISTRY_AUTH_FILE, root's /var/lib/gizmo/config.json, or docker's")
	fs.StringSliceVar(&f.insecure, "insecure-registries", nil, "registries to ask by HTTP rather than HTTPS: HOST or HOST:PORT,...")
}

func (f *registryFlags) options(e *Env) registry.Options {
	return registry.Options{AuthFile: f.authFile, Insecure: f.insecure, UserAgent: "gizmo/" + e.Version}
}

// openStore opens this user's store.
func openStore() (*store.Store, error) {
	dir, err := store.Dir()
	if err != nil {
		return nil, err
	}
	return store.Open(dir)
}

// withStore calls do with this user's store.
func withStore(do func(*store.Store) error) error {
	s, err := openStore()
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// find returns an image of the store by its name.
func find(s *store.Store, name reference.Name) (ocispec.Descriptor, error) {
	if name.Digest == "" {
		return s.Resolve(name.String())
	}
	d, err := s.Resolve(name.String())
	if errors.Is(err, store.ErrNotFound) {
		return s.ResolveDigest(name.Digest)
	}
	return d, err
}

// prune removes what no name holds any more. A store that somebody else uses is pruned the next time.
func (e *Env) prune(ctx context.Context, s *store.Store) error {
	if _, err := s.Prune(ctx); err != nil && !errors.Is(err, store.ErrBusy) {
		return err
	}
	return nil
}

// withDigest returns the name of an image with its digest, as messages have it.
func withDigest(name reference.Name, d ocispec.Descriptor) string {
	return strings.TrimSuffix(name.String(), "@"+name.Digest.String()) + "@" + d.Digest.String()
}

// say prints a line.
func (e *Env) say(format string, args ...any) error {
	_, err := fmt.Fprintf(e.Out, format+"\n", args...)
	return err
}
