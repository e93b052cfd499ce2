// Preloaded into Fairlead and its threads: a Node on which there is no way to the TCP handles.
process.binding = () => {
  throw new Error('not here');
};
