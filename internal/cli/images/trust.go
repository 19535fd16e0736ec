// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/store"
	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// maxKeyFile is how large a file with keys or certificates may be, in bytes.
const maxKeyFile = 1 << 20

// trustFlags say which signatures count.
type trustFlags struct {
	keys, certificates []string
	policy             string
}

func (f *trustFlags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.keys, "public-keys", nil, "public keys of signatures that count, in PEM: a file, or the text itself; default: the key of ghcr.io/inspektor-gadget")
	fs.StringArrayVar(&f.certificates, "notation-certificates", nil, "certificates of signatures of notation, in PEM: a file, or the text itself")
	fs.StringVar(&f.policy, "notation-policy-document", "", "policy document of notation: a file, or the text itself")
}

// read returns the policy that the flags say.
func (f *trustFlags) read() (p trust.Policy, err error) {
	texts := []string{trust.StandardKey}
	if len(f.keys) > 0 {
		if texts, err = textsOf(f.keys, "-----BEGIN"); err != nil {
			return p, fmt.Errorf("--public-keys: %w", err)
		}
	}
	if p.Keys, err = trust.ParseKeys(texts...); err != nil {
		return p, fmt.Errorf("--public-keys: %w", err)
	}
	if (f.policy == "") != (len(f.certificates) == 0) {
		return p, errors.New("--notation-certificates and --notation-policy-document need each other")
	}
	if f.policy == "" {
		return p, nil
	}
	certificates, err := textsOf(f.certificates, "-----BEGIN")
	if err != nil {
		return p, fmt.Errorf("--notation-certificates: %w", err)
	}
	document, err := textsOf([]string{f.policy}, "{")
	if err != nil {
		return p, fmt.Errorf("--notation-policy-document: %w", err)
	}
	p.Notation, err = trust.ParseNotation(document[0], strings.Join(certificates, "\n"), "")
	return p, err
}

// textsOf returns the texts of files. What has the mark in it is a text itself.
func textsOf(values []string, mark string) (texts []string, err error) {
	for _, value := range values {
		if !strings.Contains(value, mark) {
			data, err := safefile.Read(value, "the file", maxKeyFile)
			if err != nil {
				return nil, err
			}
			value = string(data)
		}
		texts = append(texts, value)
	}
	return texts, nil
}

// verify looks for a signature of an image of the store that counts.
func (f *trustFlags) verify(ctx context.Context, s *store.Store, name reference.Name, d ocispec.Descriptor) (trust.Result, error) {
	policy, err := f.read()
	if err != nil {
		return trust.Result{}, err
	}
	attached, err := s.Attached(d)
	if err != nil {
		return trust.Result{}, err
	}
	return trust.Verify(ctx, s, trust.Image{Descriptor: d, Repository: name.Path(), Attached: attached}, policy)
}

func (e *Env) verifyCommand() *cobra.Command {
	var f RunFlags
	cmd := &cobra.Command{
		Use: "verify IMAGE", Short: "Check the signatures of an image", Args: args(1, false, "an image"),
		RunE: func(cmd *cobra.Command, given []string) error {
			name, err := e.defaults().Parse(given[0])
			if err != nil {
				return err
			}
			return withStore(func(s *store.Store) error {
				release, err := s.Hold()
				if err != nil {
					return err
				}
				defer release()
				d, _, err := f.get(cmd.Context(), e, s, name)
				if err != nil {
					return err
				}
				if err := e.say("Verifying image: %s", given[0]); err != nil {
					return err
				}
				result, err := f.verifySignature(cmd.Context(), e, s, name, d)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if err := e.say("Image verified successfully!"); err != nil {
					return err
				}
				return e.say("Signed by %s (%s)", result.Signer(), result.Format)
			})
		},
	}
	fs := cmd.Flags()
	f.pull = pullMissing
	f.trust.register(fs)
	f.registryFlags.register(fs)
	return cmd
}

func (e *Env) signCommand() *cobra.Command {
	var keyFile, format string
	cmd := &cobra.Command{
		Use: "sign IMAGE", Short: "Sign an image of the store with a key",
		Long: "Signs an image of the store; no registry is needed. The signature goes along when the image is pushed, exported and\n" +
			"imported. $COSIGN_PASSWORD has the password of the key; without it gizmo asks for it.",
		Args: args(1, false, "an image"),
		RunE: func(cmd *cobra.Command, given []string) error {
			name, err := e.defaults().Parse(given[0])
			if err != nil {
				return err
			}
			key, err := e.privateKey(keyFile)
			if err != nil {
				return fmt.Errorf("--key: %w", err)
			}
			return withStore(func(s *store.Store) error { return e.sign(cmd.Context(), s, name, key, trust.Format(format)) })
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "file with the private key, in PEM: of \"gizmo image generate-key\", cosign or openssl")
	cmd.Flags().StringVar(&format, "format", string(trust.SimpleSigning), "format of the signature: "+string(trust.SimpleSigning)+", or \""+string(trust.Bundle)+"\", which cosign writes since version 3")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

// sign signs an image. What it writes has no name until it is attached, so it is written as a new image would be.
func (e *Env) sign(ctx context.Context, s *store.Store, name reference.Name, key *trust.PrivateKey, format trust.Format) error {
	d, err := find(s, name)
	if err != nil {
		return err
	}
	_, err = s.Add(ctx, d.Annotations[ocispec.AnnotationRefName], func() (ocispec.Descriptor, error) {
		attached, err := s.Attached(d)
		if err != nil {
			return d, err
		}
		signature, err := trust.Sign(ctx, s, trust.Image{Descriptor: d, Repository: name.Path(), Attached: attached}, key, format)
		if err != nil {
			return d, err
		}
		return d, s.Attach(ctx, signature, d)
	})
	if err != nil {
		return err
	}
	if err := e.prune(ctx, s); err != nil {
		return err
	}
	return e.say("Successfully signed %s with %s", withDigest(name, d), key.Public())
}

// privateKey reads a private key, and asks for its password if need be.
func (e *Env) privateKey(file string) (*trust.PrivateKey, error) {
	text, err := safefile.Read(file, "the file", maxKeyFile)
	if err != nil {
		return nil, err
	}
	return trust.ParsePrivateKey(text, e.password)
}

// password returns the password of a private key.
func (e *Env) password() ([]byte, error) {
	return trust.Password(func() ([]byte, error) {
		terminal, ok := e.In.(*os.File)
		if !ok || !term.IsTerminal(int(terminal.Fd())) {
			return nil, errors.New("the key has a password: put it into $COSIGN_PASSWORD")
		}
		fmt.Fprint(e.Err, "Password of the key: ")
		secret, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(e.Err)
		return secret, err
	})
}

func (e *Env) generateKeyCommand() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use: "generate-key", Short: "Make a key to sign images with",
		Long: "Makes a key, as cosign does: PREFIX.key, encrypted with a password, and PREFIX.pub. Files that exist are not replaced.",
		Args: args(0, false, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			password, err := e.password()
			if err != nil {
				return err
			}
			private, public, err := trust.GenerateKey(password)
			if err != nil {
				return err
			}
			if err := writeNew(prefix+".key", private, 0o600); err != nil {
				return err
			}
			if err := writeNew(prefix+".pub", public.PEM(), 0o644); err != nil {
				return err
			}
			return e.say("Wrote %s.key and %s.pub", prefix, prefix)
		},
	}
	cmd.Flags().StringVar(&prefix, "output-prefix", "gizmo", "beginning of the names of the files")
	return cmd
}

// writeNew writes a file that must not exist.
func writeNew(name string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
