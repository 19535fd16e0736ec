// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/registry"
	"github.com/gizmo-ebpf/gizmo/oci/store"
	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// The values of --pull.
const (
	pullAlways  = "always"
	pullMissing = "missing"
	pullNever   = "never"
)

// RunFlags say how the image of a gadget that is to be run is found.
type RunFlags struct {
	registryFlags
	pull    string
	noPull  bool
	verify  bool
	allowed []string
	trust   trustFlags
}

// Register adds the flags.
func (f *RunFlags) Register(fs *pflag.FlagSet) {
	fs.StringVar(&f.pull, "pull", pullMissing, "when to copy the image of a gadget from its registry: always, missing (if it is not in the store), never")
	fs.BoolVar(&f.noPull, "disallow-pulling", false, "never ask a registry, whatever --pull says")
	fs.BoolVar(&f.verify, "verify-image", true, "run an image only if it has a valid signature, unless it was built on this machine (docs/trust.md)")
	fs.StringSliceVar(&f.allowed, "allowed-gadgets", nil, "run only these images: NAME, NAME@DIGEST, or the beginning of a name with a * at its end,...; default: all")
	f.trust.register(fs)
	f.registryFlags.register(fs)
}

// Find returns the image that a name refers to, for this machine's architecture. What was checked is what it returns: names are resolved once.
func (f *RunFlags) Find(ctx context.Context, e *Env, text string) (*oci.Image, error) {
	return f.find(ctx, e, text, func(ctx context.Context, s *store.Store, name reference.Name, d ocispec.Descriptor) error {
		return f.checkSignature(ctx, e, s, name, d)
	})
}

// Seal says what the store knows of an image: its complete name, and whether a signature counts.
type Seal struct {
	Name      reference.Name
	Signature string
}

// Inspect returns the image that a name refers to, whoever has signed it.
func (f *RunFlags) Inspect(ctx context.Context, e *Env, text string) (img *oci.Image, seal Seal, err error) {
	img, err = f.find(ctx, e, text, func(ctx context.Context, s *store.Store, name reference.Name, d ocispec.Descriptor) error {
		seal.Name = name
		result, err := f.trust.verify(ctx, s, name, d)
		if err != nil {
			seal.Signature = err.Error()
			return nil
		}
		seal.Signature = fmt.Sprintf("valid, by %s (%s)", result.Signer(), result.Format)
		return nil
	})
	return img, seal, err
}

// checker returns an error about an image of the store that must not be run.
type checker func(context.Context, *store.Store, reference.Name, ocispec.Descriptor) error

// find finds an image and checks it.
func (f *RunFlags) find(ctx context.Context, e *Env, text string, check checker) (*oci.Image, error) {
	if !slices.Contains([]string{pullAlways, pullMissing, pullNever}, f.pull) {
		return nil, fmt.Errorf("--pull: want %s, %s or %s, got %q", pullAlways, pullMissing, pullNever, f.pull)
	}
	name, err := e.defaults().Parse(text)
	if err != nil {
		return nil, err
	}
	if err := f.checkName(e, name); err != nil {
		return nil, err
	}
	s, err := openStore()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	img, pulled, err := f.load(ctx, e, s, name, check)
	if err == nil && pulled {
		err = e.prune(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	return img, nil
}

// load finds an image in the store, or pulls it, checks it and reads it. Meanwhile it stays in the store, whoever takes its name.
func (f *RunFlags) load(ctx context.Context, e *Env, s *store.Store, name reference.Name, check checker) (img *oci.Image, pulled bool, err error) {
	release, err := s.Hold()
	if err != nil {
		return nil, false, err
	}
	defer release()
	d, pulled, err := f.get(ctx, e, s, name)
	if err != nil {
		return nil, false, err
	}
	if err := f.checkDigest(e, name, d); err != nil {
		return nil, false, err
	}
	if err := check(ctx, s, name, d); err != nil {
		return nil, false, err
	}
	img, err = oci.Unpack(ctx, s, d, runtime.GOARCH, e.Warn)
	return img, pulled, err
}

// get finds an image in the store, or pulls it.
func (f *RunFlags) get(ctx context.Context, e *Env, s *store.Store, name reference.Name) (d ocispec.Descriptor, pulled bool, err error) {
	if f.pull != pullAlways {
		d, err := find(s, name)
		if !errors.Is(err, store.ErrNotFound) || f.pull == pullNever {
			return d, false, err
		}
	}
	if f.noPull {
		return d, false, fmt.Errorf("%s: pulling is disallowed", name)
	}
	client, err := registry.New(f.options(e))
	if err != nil {
		return d, false, err
	}
	d, err = client.Pull(ctx, s, name)
	return d, true, err
}

// checkName returns an error if no entry of the list of allowed images can be about a name, before anything is pulled.
func (f *RunFlags) checkName(e *Env, name reference.Name) error {
	return f.check(e, name, func(entry reference.Name) bool {
		return entry.Path() == name.Path() && (entry.Digest != "" || entry.Tag == name.Tag)
	})
}

// checkDigest does so for an image whose digest is known.
func (f *RunFlags) checkDigest(e *Env, name reference.Name, d ocispec.Descriptor) error {
	return f.check(e, name, func(entry reference.Name) bool {
		if entry.Digest != "" {
			return entry.Path() == name.Path() && entry.Digest == d.Digest
		}
		return entry.Path() == name.Path() && entry.Tag == name.Tag
	})
}

func (f *RunFlags) check(e *Env, name reference.Name, matches func(entry reference.Name) bool) error {
	if len(f.allowed) == 0 {
		return nil
	}
	for _, text := range f.allowed {
		if prefix, ok := strings.CutSuffix(text, "*"); ok {
			if strings.HasPrefix(name.String(), completePrefix(e, prefix)) {
				return nil
			}
			continue
		}
		entry, err := e.defaults().Parse(text)
		if err != nil {
			return fmt.Errorf("--allowed-gadgets: %w", err)
		}
		if matches(entry) {
			return nil
		}
	}
	return fmt.Errorf("%s is not part of allowed gadgets: %s", name, strings.Join(f.allowed, ", "))
}

// completePrefix completes the beginning of a name as a whole name would be.
func completePrefix(e *Env, prefix string) string {
	if prefix == "" {
		return "" // all names
	}
	const more = "x"
	name, err := e.defaults().Parse(prefix + more)
	switch {
	case err != nil:
		return prefix
	case strings.HasSuffix(name.Path(), more) && !strings.Contains(prefix[strings.LastIndexByte(prefix, '/')+1:], ":"):
		return strings.TrimSuffix(name.Path(), more) // the tag is what was left out
	}
	return strings.TrimSuffix(name.String(), more)
}

// checkSignature returns an error if an image needs a signature that counts, and has none.
func (f *RunFlags) checkSignature(ctx context.Context, e *Env, s *store.Store, name reference.Name, d ocispec.Descriptor) error {
	if !f.verify || d.Annotations[store.BuiltAnnotation] != "" {
		return nil
	}
	if _, err := f.verifySignature(ctx, e, s, name, d); err != nil {
		return fmt.Errorf("%s: %w; --verify-image=false runs it nevertheless", name, err)
	}
	return nil
}

// verifySignature looks for a signature that counts, in the store first. If the image has none there, one may have been made after it was pulled: then its
// registry is asked.
func (f *RunFlags) verifySignature(ctx context.Context, e *Env, s *store.Store, name reference.Name, d ocispec.Descriptor) (trust.Result, error) {
	result, err := f.trust.verify(ctx, s, name, d)
	if !errors.Is(err, trust.ErrNoSignature) || f.noPull || f.pull == pullNever {
		return result, err
	}
	client, clientErr := registry.New(f.options(e))
	if clientErr != nil {
		return result, errors.Join(err, clientErr)
	}
	if pullErr := client.PullSignatures(ctx, s, d, name); pullErr != nil {
		return result, fmt.Errorf("%w in the store, and none can be pulled: %w", err, pullErr)
	}
	return f.trust.verify(ctx, s, name, d)
}
