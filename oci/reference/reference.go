// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package reference reads the names of images: trace_open is ghcr.io/inspektor-gadget/gadget/trace_open:latest.
package reference

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	_ "crypto/sha256" // for digests

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
)

// Defaults complete names that leave out parts. The rules are Docker's, but for the names that they lead to.
type Defaults struct {
	// Domain is the registry of names that have none. Names of one part have the prefix in this registry.
	Domain, Prefix string
	Tag            string
}

// Standard returns the defaults that names of gadgets have everywhere.
func Standard() Defaults {
	return Defaults{Domain: "ghcr.io", Prefix: "inspektor-gadget/gadget/", Tag: "latest"}
}

// Variable is the environment variable that names another place for names of one part: REGISTRY/PATH.
const Variable = "GIZMO_DEFAULT_REPOSITORY"

// FromEnvironment returns the defaults that the user has set, or the standard ones.
func FromEnvironment() Defaults {
	d := Standard()
	if text := os.Getenv(Variable); text != "" {
		d.Domain, d.Prefix, _ = strings.Cut(strings.TrimSuffix(text, "/"), "/")
		if d.Prefix != "" {
			d.Prefix += "/"
		}
	}
	return d
}

// The same for names of one part in Docker's registry.
const (
	dockerDomain = "docker.io"
	dockerPrefix = "library/"
)

// Name is the complete name of an image. It has a tag, or a digest, or both; the digest then counts.
type Name struct {
	Domain, Repository string
	Tag                string
	Digest             digest.Digest // of the index; empty: none
}

// Parse completes a name and checks it.
func (d Defaults) Parse(text string) (Name, error) {
	name, err := d.parse(text)
	if err != nil {
		return Name{}, fmt.Errorf("%q is no name of an image: %w", text, err)
	}
	return name, nil
}

func (d Defaults) parse(text string) (n Name, err error) {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "/") {
		return n, errors.New("it is a path")
	}
	rest := text
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		if n.Digest, err = digest.Parse(rest[at+1:]); err != nil {
			return n, err
		}
		rest = rest[:at]
	}
	// A colon before the last slash belongs to the port of the registry.
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		if n.Tag = rest[colon+1:]; n.Tag == "" {
			return n, errors.New("the tag is empty")
		}
		rest = rest[:colon]
	}
	n.Domain, n.Repository = d.Domain, rest
	if first, others, found := strings.Cut(rest, "/"); found && isDomain(first) {
		n.Domain, n.Repository = first, others
	}
	if !strings.Contains(n.Repository, "/") && n.Repository != "" {
		switch n.Domain {
		case d.Domain:
			n.Repository = d.Prefix + n.Repository
		case dockerDomain:
			n.Repository = dockerPrefix + n.Repository
		}
	}
	if n.Tag == "" && n.Digest == "" {
		n.Tag = d.Tag
	}
	return n, n.check()
}

// isDomain reports whether the first part of a name is a registry.
func isDomain(part string) bool {
	return strings.ContainsAny(part, ".:") || part == "localhost" || strings.ToLower(part) != part
}

// check checks the parts as registries require.
func (n Name) check() error {
	r := registry.Reference{Registry: n.Domain, Repository: n.Repository}
	if err := r.ValidateRegistry(); err != nil {
		return err
	}
	if err := r.ValidateRepository(); err != nil {
		return err
	}
	if n.Tag == "" {
		return nil
	}
	r.Reference = n.Tag
	return r.ValidateReferenceAsTag()
}

// Path is the registry and the repository.
func (n Name) Path() string { return n.Domain + "/" + n.Repository }

// String returns the complete name.
func (n Name) String() string {
	text := n.Path()
	if n.Tag != "" {
		text += ":" + n.Tag
	}
	if n.Digest != "" {
		text += "@" + n.Digest.String()
	}
	return text
}

// Reference is what identifies the image in its repository: the digest, or else the tag.
func (n Name) Reference() string { return cmp.Or(n.Digest.String(), n.Tag) }

// Short returns the registry and the repository without what the defaults would add.
func (d Defaults) Short(n Name) string {
	if n.Domain == d.Domain {
		if short := strings.TrimPrefix(n.Repository, d.Prefix); short != n.Repository && !strings.Contains(short, "/") {
			return short
		}
	}
	return n.Path()
}

// IsExplicit reports whether text is written as a reference: with a registry, a tag or a digest. Names without these may be others' as well: those of gadgets that
// are built in, or of files.
func IsExplicit(text string) bool {
	first, _, slash := strings.Cut(text, "/")
	if slash {
		return isDomain(first) && !strings.HasPrefix(first, ".")
	}
	return strings.ContainsAny(text, ":@")
}
