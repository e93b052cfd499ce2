// Preloaded into Fairlead and its threads: a Node whose handles of unix sockets are not known, so that no descriptor can be sent.
const { binding } = process;
process.binding = (name) => {
  if (name === 'pipe_wrap') throw new Error('not here');
  return binding.call(process, name);
};
